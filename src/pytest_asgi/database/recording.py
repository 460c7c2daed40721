"""What a block of code has written, or the whole test so far: a dictionary that is filled later.

Only this module knows when changes begin and end. What is in them, and how they compare, stands
in `changes.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from pytest_asgi.database.changes import Change
from pytest_asgi.database.stores import WouldWaitError
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from types import TracebackType
    from typing import Self

    from pytest_asgi.database.stores import Mark, QuickStore, Store
    from pytest_asgi.database.threads import InThread

__tracebackhide__ = True  # a failure ends in the user's line


class FindStore(Protocol):
    """Finds the store whose changes are wanted."""

    def __call__(self, *, at_once: bool = False) -> Store:
        """Return it; raise `WouldWaitError` if it is to be open already, and is not."""


class Recording:
    """What is written to one store between two moments.

    Args:
        find_store: Returns the store; raises as long as nobody knows which one it is. Asked to do
            so at once, it returns only one that is open.
        mark_of: Returns the moment at which the running test began for a store.
    """

    def __init__(self, find_store: FindStore, mark_of: Callable[[Store], Mark]) -> None:
        self._find_store = find_store
        self._mark_of = mark_of
        self._begin: tuple[Store, Mark] | None = None

    def begin(self) -> None:
        """Begin at this moment, instead of where the test began."""
        try:
            store = self._find_store()
        except DatabaseError:
            return  # the block may be the first to connect; else the error comes at its end
        self._begin = store, store.mark()

    def end(self) -> dict[str, list[Change]]:
        """Return what was written since."""
        if self._begin is not None:
            store, mark = self._begin
            return store.changes(mark)
        store = self._find_store()
        return store.changes(self._mark_of(store))

    # The same on the event loop itself, where a thread would cost more than the answer does. Each
    # raises `WouldWaitError` if it has to be asked in a thread.

    def begin_at_once(self) -> None:
        """Begin at this moment."""
        store = _quick(self._find_store(at_once=True))
        self._begin = store, store.moment_at_once()

    def end_at_once(self) -> dict[str, list[Change]]:
        """Return what was written since."""
        if self._begin is not None:
            store, mark = self._begin
            return _quick(store).changes_at_once(mark)
        store = self._find_store(at_once=True)
        return _quick(store).changes_at_once(self._mark_of(store))


def _quick(store: Store) -> QuickStore:
    if not hasattr(store, "changes_at_once"):
        raise WouldWaitError
    return cast("QuickStore", store)


class Changes(dict[str, list[Change]]):
    """What some code has written, net: a dictionary of tables, each with its changes in order.

    Reading it before the end of its block is an error. A table that nobody has written to is no
    key, but asking for it gives an empty list.

    Args:
        recording: What it is filled from.
        name_table: Returns the name of a table that exists, given its name or what stands for it.
    """

    _advice = ""

    def __init__(self, recording: Recording, name_table: Callable[[object], str]) -> None:
        super().__init__()
        self._recording = recording
        self._name_table = name_table
        self._is_filled = False

    def __getitem__(self, table: Any) -> list[Change]:
        """Return the changes of a table, given its name or what stands for it."""
        self._prepare_to_be_read()
        return super().__getitem__(table)

    def __missing__(self, table: object) -> list[Change]:
        return self.get(self._name_table(table), [])

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and sent elsewhere as a plain dictionary."""
        return dict, (dict(self),)

    def __str__(self) -> str:
        """Return one line for each change, below the name of its table."""
        lines = []
        for table, changes in self.items():
            lines += [table, *(f"  {change!r}" for change in changes)]
        return "\n".join(lines) or "nothing was written"

    def _fill(self, changes: Mapping[str, list[Change]]) -> None:
        super().update(changes)
        self._is_filled = True

    def _prepare_to_be_read(self) -> None:
        if not self._is_filled:
            raise DatabaseError(
                "Changes were read before they were there.",
                why="What code has written, net, is known at the end of its block.",
                fix=self._advice,
            )


def _guarded(name: str) -> Any:
    method = getattr(dict, name)

    def read(self: Changes, *arguments: Any) -> Any:
        self._prepare_to_be_read()
        return method(self, *arguments)

    read.__name__ = name
    return read


# Everything with which a dictionary is read. `__iter__` is among them for `dict(changes)` and
# `{**changes}` as well: Python copies a dictionary without asking only if it has not its own.
for _name in (
    *("__contains__", "__eq__", "__ge__", "__iter__", "__len__", "__ne__"),
    *("__or__", "__repr__", "__reversed__", "__ror__", "copy", "get", "items", "keys", "values"),
):
    setattr(Changes, _name, _guarded(_name))


class SyncChanges(Changes):
    """Changes for synchronous tests: `with db.changes() as changes:`.

    Without `with`, what the test has written until they are read first.
    """

    _advice = (
        "Read them below the block:\n\n"
        "    with db.changes() as changes:\n"
        "        …\n"
        "    assert changes == {…}"
    )
    _is_block = False

    def __enter__(self) -> Self:
        self._is_block = True
        self._recording.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._fill(self._recording.end())

    def _prepare_to_be_read(self) -> None:
        if not self._is_filled and not self._is_block:
            self._fill(self._recording.end())
        super()._prepare_to_be_read()


class AsyncChanges(Changes):
    """Changes for async tests: `async with db.changes() as changes:`.

    `await db.changes()` gives what the test has written so far.
    """

    _advice = (
        "Read them below the block:\n\n"
        "    async with db.changes() as changes:\n"
        "        …\n"
        "    assert changes == {…}\n\n"
        "or await what the test has written so far:\n\n"
        "    assert await db.changes() == {…}"
    )

    def __init__(
        self, recording: Recording, name_table: Callable[[object], str], in_thread: InThread
    ) -> None:
        super().__init__(recording, name_table)
        self._in_thread = in_thread

    async def __aenter__(self) -> Self:
        try:
            self._recording.begin_at_once()
        except WouldWaitError:
            await self._in_thread(self._recording.begin)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self._fill_now()

    def __await__(self) -> Generator[Any, Any, Self]:
        yield from self._fill_now().__await__()
        return self

    async def _fill_now(self) -> None:
        try:
            changes = self._recording.end_at_once()
        except WouldWaitError:
            changes = await self._in_thread(self._recording.end)
        self._fill(changes)


def _refuse_to_enter(fix: str) -> Any:
    def enter(*_: object) -> NoReturn:
        raise DatabaseError(
            "The block of `db.changes()` was entered in the other way.",
            why="`db` is one for async tests, or one for synchronous tests: as the test is that it"
            " belongs to.",
            fix=f"Write:\n\n    {fix} db.changes() as changes:",
        )

    return enter


# Not in the classes, so that type checkers still see that they are not there.
for _name in ("__enter__", "__exit__"):
    setattr(AsyncChanges, _name, _refuse_to_enter("async with"))
for _name in ("__aenter__", "__aexit__"):
    setattr(SyncChanges, _name, _refuse_to_enter("with"))
