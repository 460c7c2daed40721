"""The apps that run at this moment, and which of them were started a second time meanwhile.

An app has one state for all its lifespans: what the shutdown of one closes, another may still
need. That fails later, and elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asgi.asgi.frameworks import declares_lifespan
from pytest_asgi.asgi.stacks import calling_frames, users_place

if TYPE_CHECKING:
    from pytest_asgi.asgi.stacks import Place


class Run:
    """One run of an app, from its startup to its shutdown.

    Args:
        app: The app.

    Attributes:
        disturbed_at: Where another run of the app was ended during this one, as far as the user's
            code did that.
    """

    def __init__(self, app: object) -> None:
        self.app = app
        self.is_disturbed = False
        self.disturbed_at: Place | None = None

    def explain(self, failure: BaseException) -> None:
        """Add to what the app let escape that another run may be the reason, if there was one."""
        if not self.is_disturbed or not declares_lifespan.get()(self.app):
            return
        place = "" if self.disturbed_at is None else f" at {self.disturbed_at}"
        note = (
            f"The app's lifespan was run a second time beside the one that still runs, and was "
            f"shut down{place}. Perhaps that closed what is missing now. Let the tests share one "
            "lifespan, that of the `client` fixture; or give the other client "
            "`AsyncClient(app=app, lifespan=False)`; or let each have an app of its own."
        )
        if note not in getattr(failure, "__notes__", ()):
            failure.add_note(note)


class Runs:
    """All runs that are not over."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def begin(self, app: object) -> Run:
        """Return a new run of `app`."""
        run = Run(app)
        self._runs.append(run)
        return run

    def end(self, run: Run) -> None:
        """End a run, which may disturb the others of its app."""
        self._runs.remove(run)
        for other in self._find(run.app):
            other.is_disturbed = True
            other.disturbed_at = users_place(calling_frames())

    def explain(self, app: object, failure: BaseException) -> None:
        """Add to what `app` let escape that another run may be the reason, if there was one."""
        for run in self._find(app):
            run.explain(failure)

    def _find(self, app: object) -> list[Run]:
        return [run for run in self._runs if run.app is app]


# Of the whole process: the lifespans of one app may be those of clients that know nothing of each
# other.
runs = Runs()
