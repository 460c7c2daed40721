"""`asgi_blocking`: the hooks around tests in which calls that block the loop are looked for.

A session without such tests has none of them.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from pytest_asgi.errors import AsgiWarning, BlockedLoopError, SettingsError
from pytest_asgi.plugin.settings import settings_of_test
from pytest_asgi.plugin.tracebacks import hides_our_frames

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from contextlib import AbstractContextManager

    from pytest_asgi.plugin.assembly import Assembly
    from pytest_asgi.runner.blocking import Blockage

__tracebackhide__ = hides_our_frames

_MILLISECONDS = 100


class WatchedTests:
    """The hook around the bodies of tests. Registered if a test wants to know."""

    def __init__(self, assembly: Assembly) -> None:
        from pytest_asgi.runner.blocking import BlockingWatch  # noqa: PLC0415 - rarely needed

        self._settings = assembly.settings
        self._watch = BlockingWatch(lambda: assembly.made_loop)
        self._watch.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Look while the test runs, and say what was found."""
        mode, _, milliseconds = self._mode_of(item).partition(":")
        if mode == "off":
            return (yield)
        limit = int(milliseconds or _MILLISECONDS)
        self._watch.begin(limit / 1000)
        try:
            with _strictly() if mode == "strict" else nullcontext():
                result = yield
        except BaseException as error:
            for text, _ in _describe(self._watch.end()):
                error.add_note(text)
            raise
        for text, (file, line, _) in _describe(self._watch.end()):
            if mode != "warn":
                raise _blocked(item.nodeid, text, limit)
            warnings.warn_explicit(text, AsgiWarning, file, line)
        return result

    def pytest_enter_pdb(self) -> None:
        """Let a debugger block the loop as long as it likes."""
        self._watch.end()

    def pytest_unconfigure(self) -> None:
        """Look no more."""
        self._watch.stop()

    def _mode_of(self, item: pytest.Item) -> str:
        try:
            return settings_of_test(item, self._settings).blocking
        except SettingsError:  # raised once more, where marks are checked
            return "off"


def _strictly() -> AbstractContextManager[object]:
    from pytest_asgi.adapters.blockbuster import refusing_to_block  # noqa: PLC0415 - optional

    return refusing_to_block()


def _describe(found: Iterable[Blockage]) -> list[tuple[str, tuple[str, int, str]]]:
    """Return a text for each line that has blocked the loop, and the line; the longest first."""
    longest: dict[tuple[str, int, str], Blockage] = {}
    for each in sorted(found, key=lambda blockage: blockage.seconds):
        longest[next(place for place in reversed(each.places) if place.is_users)] = each
    return [(_text(each), place) for place, each in reversed(longest.items())]


def _text(blockage: Blockage) -> str:
    places = "\n".join(f"    {place}" for place in blockage.places)
    return (
        f"A call has kept the loop from going on for {blockage.seconds:.2f} seconds:\n\n{places}"
    )


def _blocked(test: str, text: str, limit: int) -> BlockedLoopError:
    return BlockedLoopError(
        f"{text}\n\nThe test is {test}.",
        why="While code does not wait, nothing else goes on: no other request, no task, no time"
        f" limit. `asgi_blocking`, or the mark, allows {limit} ms.",
        fix="Await something instead, or call it in a thread: `await asyncio.to_thread(…)`. A"
        " framework calls an endpoint in a thread if it is a plain `def`.",
    )
