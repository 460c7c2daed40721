"""Explain in a failure what a second event loop has to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_asgi.import_watch import ImportWatch

if TYPE_CHECKING:
    from pytest_asgi.plugin.assembly import Assembly
    from pytest_asgi.runner.foreign_loops import LoopOrigins

__tracebackhide__ = True  # a failure ends in the user's line


class LoopWatch:
    """Remembers who made which loop, from the first import of asyncio on.

    Attributes:
        origins: What is known; None before asyncio is imported.
    """

    def __init__(self) -> None:
        self.origins: LoopOrigins | None = None
        self._import_watch = ImportWatch("asyncio", self._remember)
        self._import_watch.start()  # nothing can make a loop before

    def stop(self) -> None:
        """Remember no more loops."""
        self._import_watch.stop()
        if self.origins is not None:
            self.origins.uninstall()

    def _remember(self) -> None:
        from pytest_asgi.runner.foreign_loops import LoopOrigins  # noqa: PLC0415 - asyncio

        self.origins = LoopOrigins()
        self.origins.install()


_WATCH: pytest.StashKey[LoopWatch] = pytest.StashKey()


def watch_loops(config: pytest.Config) -> LoopWatch:
    """Begin to remember who makes which loop, and end it with the session; return what is known.

    Called as early as possible: a conftest may make a loop while it is imported.
    """
    watch = config.stash.get(_WATCH, None)
    if watch is None:
        watch = config.stash[_WATCH] = LoopWatch()
        config.add_cleanup(watch.stop)
    return watch


class SecondLoops:
    """The hook that adds to what fails because of a second loop who made that loop."""

    def __init__(self, assembly: Assembly, watch: LoopWatch) -> None:
        self._assembly = assembly
        self._watch = watch

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Add the note before the failure is turned into text."""
        if call.excinfo is not None and self._watch.origins is not None:
            self._explain(call.excinfo.value, self._watch.origins)

    def _explain(self, error: BaseException, origins: LoopOrigins) -> None:
        from pytest_asgi.runner.foreign_loops import explain  # noqa: PLC0415 - asyncio

        note = explain(error, session_loop=self._assembly.made_loop, origins=origins)
        if note is not None and note not in getattr(error, "__notes__", []):
            error.add_note(note)
