"""Run tests at the same time, and report each when its turn comes.

pytest goes on calling one test after the other. When it calls the first of a segment, all of them
begin; then the loop runs until the called test is over, and its reports are logged: the others go
on meanwhile, and stand still while pytest logs. So everybody who follows a run (the terminal,
junitxml, `-x`, a worker of pytest-xdist) sees the tests in their order.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.adapters.fastapi import own_overrides
from pytest_asgi.plugin.concurrency import pytest_internals
from pytest_asgi.plugin.concurrency.output import Captured, Capturing
from pytest_asgi.plugin.concurrency.segments import Segment
from pytest_asgi.plugin.settings import settings_of_test
from pytest_asgi.plugin.verdict import add_background

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_asgi.plugin.assembly import Assembly
    from pytest_asgi.plugin.concurrency.solitude import Solitude
    from pytest_asgi.runner.loop import RunningTest

__tracebackhide__ = True  # a failure ends in the user's line


class Crowd:
    """The hooks that run segments of tests.

    Args:
        assembly: What the session has of pytest-asgi.
        session: The session; its tests are collected.
        solitude: Tells why a test runs alone.
    """

    def __init__(self, assembly: Assembly, session: pytest.Session, solitude: Solitude) -> None:
        self._assembly = assembly
        self._session = session
        self._solitude = solitude
        self._positions = {item: index for index, item in enumerate(session.items)}
        self._segment: Segment | None = None
        self._captured: dict[pytest.Item, Captured] = {}
        self._patches = pytest.MonkeyPatch()
        self._capturing = Capturing(session.config, self._patches)
        self._state = pytest_internals.share_setup_state(session)
        pytest_internals.leave_current_test_alone(self._patches)
        pytest_internals.give_own_dynamic_fixtures(self._patches, self._state, session)
        pytest_internals.set_up_wider_fixtures_once(
            self._patches, self._state, assembly.waiting.one_at_a_time
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Run a test beside those that follow it, if there are any."""
        if not isinstance(item, pytest.Function):
            return None
        if self._segment is None or item not in self._segment:
            self._segment = self._find_segment(item)
        if self._segment is None:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._finish(self._segment, item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """End what still runs when the session ends early."""
        try:
            return (yield)
        finally:
            self._cancel_rest()
            self._capturing.end()

    def pytest_unconfigure(self) -> None:
        """Leave pytest as it was."""
        self._patches.undo()

    # --- which tests ---------------------------------------------------------------------------

    def _find_segment(self, item: pytest.Function) -> Segment | None:
        if self._solitude.of_test(item) is not None:
            return None
        parameters = pytest_internals.wider_parameters(item)

        def belongs(other: pytest.Item) -> bool:
            return (
                other.parent is item.parent
                and isinstance(other, pytest.Function)
                and self._solitude.of_test(other) is None
                and pytest_internals.wider_parameters(other) == parameters
            )

        coming, ends_there = self._coming(item)
        others = takewhile(belongs, coming if ends_there else coming[:-1])
        items: list[Any] = [item, *others]
        if len(items) == 1:
            return None
        redirect = self._assembly.redirect
        if redirect.is_on and not self._assembly.databases.has_main_store():
            return None  # the first test alone shows what there is to be cloned
        loop = self._assembly.waiting.loop
        loop.background.tell_tasks_apart(loop.loop)
        after = next(iter(coming[len(items) - 1 :]), None)
        limit = self._assembly.settings.concurrency_limit
        return Segment(items, after=after, limit=limit, start=self._start)

    def _coming(self, item: pytest.Item) -> tuple[Sequence[pytest.Item], bool]:
        """Return the tests that follow `item` in this process, and whether those are all."""
        items = self._session.items
        given = pytest_internals.given_to_worker(self._session.config)
        if given is None:
            return items[self._positions[item] + 1 :], True
        indices, are_all = given
        return [items[index] for index in indices], are_all

    # --- one test ------------------------------------------------------------------------------

    def _start(
        self, segment: Segment, item: pytest.Function
    ) -> RunningTest[list[pytest.TestReport]]:
        pytest_internals.give_own_fixtures(item)
        captured = self._captured[item] = self._capturing.capture()
        waiting = self._assembly.waiting
        loop = waiting.loop
        context = loop.shared_context.copy()
        context.run(captured.begin)
        context.run(own_overrides.set, {})
        group = settings_of_test(item, self._assembly.settings).alone

        def protocol() -> list[pytest.TestReport]:
            with waiting.one_at_a_time(("group", group)) if group else nullcontext():
                return self._run(segment, item)

        return loop.start_test(protocol, context=context, name=item.nodeid)

    def _run(self, segment: Segment, item: pytest.Function) -> list[pytest.TestReport]:
        with self._state.branch():
            try:
                return pytest_internals.run_phases(item, lambda: self._next_of(segment, item))
            except BaseException as error:
                # An interrupt or `pytest.exit()`: pytest would not tear this test down.
                try:
                    pytest_internals.tear_down(item, self._next_of(segment, item))
                except Exception as another:  # noqa: BLE001 - told with the first
                    add_background(error, [another])
                raise

    def _next_of(self, segment: Segment, item: pytest.Function) -> pytest.Item | None:
        others = segment.others_to_end(item)
        if others:
            self._assembly.waiting.for_other_tests(asyncio.wait(others))
        return segment.next_of(item)

    def _finish(self, segment: Segment, item: pytest.Function) -> Sequence[pytest.TestReport]:
        test = segment.begin(item)
        captured = self._captured.pop(item)
        with self._capturing.of_all(item, captured) as leftover:
            reports = self._assembly.waiting.loop.finish_test(test)
        segment.report(item)
        captured.report_warnings(item)
        reports[-1].sections.extend(leftover)
        return reports

    def _cancel_rest(self) -> None:
        running = {} if self._segment is None else self._segment.cancel()
        for item, test in running.items():
            # Nobody hears how a test ended that was not to end.
            with (
                suppress(BaseException),
                self._capturing.of_all(item, self._captured.pop(item)),
            ):
                self._assembly.waiting.loop.finish_test(test)
