"""What tests that run at the same time write, log and warn of: for each test its own.

The standard streams, the root logger and `warnings.showwarning` are one for the process. Here they
look which test's context they are called in; threads that a test starts have it too, if they are
given a context at all. What belongs to nobody stays with the test that is reported next.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from pytest_asgi.plugin.concurrency import pytest_internals

if TYPE_CHECKING:
    from collections.abc import Generator

_STREAMS = ("stdout", "stderr")
_test: ContextVar[Captured | None] = ContextVar("pytest_asgi_captured", default=None)


class Captured:
    """What one test has written, logged and warned of.

    Args:
        handler: Writes what the test logs to a stream of its own.
    """

    def __init__(self, handler: logging.Handler) -> None:
        self.streams = {name: io.StringIO() for name in _STREAMS}
        self.warnings: list[warnings.WarningMessage] = []
        self.handler: Any = handler
        handler.addFilter(lambda _: _test.get() is self)

    def begin(self) -> None:
        """Take what is written in the calling code's context from now on."""
        _test.set(self)

    def report_warnings(self, item: pytest.Item) -> None:
        """Hand what `item` was warned of to pytest."""
        for warning in self.warnings:
            arguments = {"nodeid": item.nodeid, "when": "runtest", "location": None}
            item.ihook.pytest_warning_recorded.call_historic(
                kwargs={"warning_message": warning, **arguments}
            )


class Capturing:
    """Stands in for pytest's own capturing while tests run at the same time."""

    def __init__(self, config: pytest.Config, patches: pytest.MonkeyPatch) -> None:
        self._output = pytest_internals.Output(config)
        self._records_warnings = config.pluginmanager.has_plugin("warnings")
        self._output.replace_streams(patches, _stream_phase)
        self._output.replace_logging(patches, _log_phase)

    def capture(self) -> Captured:
        """Return the place for what a test is going to write."""
        return Captured(self._output.log_handler())

    @contextmanager
    def of_all(self, item: pytest.Item, captured: Captured) -> Generator[list[tuple[str, str]]]:
        """Sort what tests write while the loop runs.

        Args:
            item: The test that the loop runs for.
            captured: What that test writes.

        Yields:
            A list; afterwards it holds what nobody has written, each with a heading.
        """
        leftover: list[tuple[str, str]] = []
        with ExitStack() as stack, pytest.MonkeyPatch.context() as patches:
            if self._output.captures_streams:
                stack.enter_context(self._streams_on(leftover))
            if self._records_warnings:
                patches.setattr(warnings, "showwarning", _shower(captured))
            stack.enter_context(self._output.log_level())
            stack.enter_context(_current_test(item))
            yield leftover

    @contextmanager
    def _streams_on(self, leftover: list[tuple[str, str]]) -> Generator[None]:
        _end_routing()
        with self._output.streams_on() as caught:
            _route()
            yield
            _end_routing()
        _route()  # for threads, which do not stand still while pytest reports a test
        leftover += [
            (f"Captured {name} of tests at the same time", text)
            for name, text in zip(_STREAMS, caught, strict=True)
            if text
        ]

    def end(self) -> None:
        """Leave the standard streams as they were."""
        _end_routing()


class _Router:
    """A standard stream that writes for the test in whose context it is called."""

    def __init__(self, name: str, real: TextIO) -> None:
        self._name = name
        self.real = real

    def write(self, text: str) -> int:
        test = _test.get()
        return (self.real if test is None else test.streams[self._name]).write(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def _route() -> None:
    for name in _STREAMS:
        setattr(sys, name, _Router(name, getattr(sys, name)))


def _end_routing() -> None:
    for name in _STREAMS:
        stream = getattr(sys, name)
        if isinstance(stream, _Router):
            setattr(sys, name, stream.real)


def _shower(driven: Captured) -> Any:
    def show(  # noqa: PLR0917 - the signature is that of `warnings.showwarning`
        message: Any,
        category: Any,
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        warning = warnings.WarningMessage(message, category, filename, lineno, file, line)
        (_test.get() or driven).warnings.append(warning)

    return show


@contextmanager
def _stream_phase(when: str, item: pytest.Item) -> Generator[None]:
    try:
        yield
    finally:
        test = _test.get()
        assert test is not None
        for name, stream in test.streams.items():
            item.add_report_section(when, name, stream.getvalue())
            stream.seek(0)
            stream.truncate()


@contextmanager
def _log_phase(when: str, item: pytest.Item) -> Generator[None]:
    test = _test.get()
    assert test is not None
    root, handler = logging.getLogger(), test.handler
    handler.reset()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        item.add_report_section(when, "log", handler.stream.getvalue().strip())


@contextmanager
def _current_test(item: pytest.Item) -> Generator[None]:
    os.environ["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)".replace("\x00", "(null)")
    try:
        yield
    finally:
        os.environ.pop("PYTEST_CURRENT_TEST", None)
