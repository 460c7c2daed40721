"""What each store goes back to: the state before the test, of all that lives longer than it.

Levels are stacked: the schema; then the app's lifespan and each fixture of a wider scope than one
test, as they are set up. A test goes back to the topmost level. When what made a level ends, the
stores go back to the level below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_asgi.database.stores import Mark, Store

Level = dict[int, "Mark"]


class Baselines:
    """The levels of a session.

    Args:
        stores: Returns the stores that are open.
    """

    def __init__(self, stores: Callable[[], Iterable[Store]]) -> None:
        self._stores = stores
        self._levels: list[Level] = [{}]

    def begin(self, store: Store) -> None:
        """Take the state of a store that was just opened for the lowest level."""
        self._levels[0][id(store)] = store.mark()

    def push(self) -> Level:
        """Make the present state a level of its own and return it."""
        level = {id(store): store.mark() for store in self._stores()}
        self._levels.append(level)
        return level

    def remove(self, level: Level) -> None:
        """Forget a level, and go back to the one that is the topmost then."""
        self._levels = [each for each in self._levels if each is not level]
        self.restore()

    def restore(self) -> None:
        """Put every store back to the topmost level, also after one has failed.

        Raises:
            ExceptionGroup: Several could not be put back; the exception itself if it was one.
        """
        failures = []
        for store in self._stores():
            try:
                store.restore(self.mark_of(store))
            except Exception as failure:  # noqa: BLE001 - raised below
                failures.append(failure)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup("Several databases could not be put back.", failures)

    def mark_of(self, store: Store) -> Mark:
        """Return what `store` goes back to."""
        return next(level[id(store)] for level in reversed(self._levels) if id(store) in level)
