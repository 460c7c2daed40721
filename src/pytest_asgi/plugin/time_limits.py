"""`asgi_timeout`: the hooks around the phases of tests that have a time limit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_asgi.errors import SettingsError
from pytest_asgi.plugin.held_connections import list_held
from pytest_asgi.plugin.notices import Notices
from pytest_asgi.plugin.settings import settings_of_test
from pytest_asgi.plugin.tracebacks import hides_our_frames

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_asgi.plugin.assembly import Assembly

__tracebackhide__ = hides_our_frames

_SECONDS: pytest.StashKey[float] = pytest.StashKey()


class LimitedPhases:
    """The hooks around set-up, body and tear-down. Registered if a test has a limit."""

    def __init__(self, assembly: Assembly, config: pytest.Config) -> None:
        from pytest_asgi.runner.stopping import Stopped  # noqa: PLC0415 - these two import
        from pytest_asgi.runner.time_limit import TimeLimit  # noqa: PLC0415 - asyncio

        class StoppedOutcome(Stopped, pytest.fail.Exception):  # type: ignore[misc, name-defined]
            """What pytest, unlike any other exception that is no `Exception`, expects."""

        self._settings = assembly.settings
        self._notices = Notices(config)
        self._limit = TimeLimit(
            lambda: assembly.watched_loop,
            tell=self._notices.tell,
            note=self._notices.note,
            find_more=partial(list_held, assembly.redirect.connections),
            kind=StoppedOutcome,
        )
        self._limit.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Limit the set-up."""
        item.stash.setdefault(_SECONDS, self._seconds_for(item))
        return (yield from self._limited(item, "set-up"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Limit the body."""
        return (yield from self._limited(item, "body"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Limit the tear-down."""
        return (yield from self._limited(item, "tear-down"))

    def pytest_enter_pdb(self) -> None:
        """Let the clock stand still."""
        self._limit.pause()

    def pytest_leave_pdb(self) -> None:
        """Begin to count anew."""
        self._limit.resume()

    def pytest_unconfigure(self) -> None:
        """Watch no more."""
        self._limit.close()
        self._notices.close()

    def _limited(self, item: pytest.Item, name: str) -> Generator[None, object, object]:
        seconds = item.stash.get(_SECONDS, 0)
        if not seconds:
            return (yield)
        phase = self._limit.begin(item.nodeid, name, seconds)
        try:
            result = yield
        except BaseException as error:
            instead = self._limit.end(phase, error)
            if instead is None:
                raise
            raise instead.with_traceback(error.__traceback__) from None
        missed = self._limit.end(phase)
        if missed is not None:
            raise missed
        return result

    def _seconds_for(self, item: pytest.Item) -> float:
        try:
            timeout = settings_of_test(item, self._settings).timeout
        except SettingsError:  # raised once more, where marks are checked
            return 0
        return 0 if timeout == "off" else float(timeout)
