"""Record the statements of each test, and look for one query for each row of another (N+1).

It listens in the context of a test, from before its fixtures to the end of its tear-down. What it
finds travels with the test's report, so that it arrives from a worker process too.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_asgi.errors import VerificationError
from pytest_asgi.plugin import query_summary
from pytest_asgi.plugin.settings import settings_of_test

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_asgi.database.queries import RecordedQueries
    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.plugin.settings import Settings

__tracebackhide__ = True  # a failure ends in the user's line

_LEAST = 3  # times
_NAME = "asgi-queries"


class _Watch(NamedTuple):
    queries: RecordedQueries
    mode: str
    least: int
    listening: ExitStack


_WATCH: pytest.StashKey[_Watch] = pytest.StashKey()


class QueryWatch:
    """The hooks around tests whose statements are recorded. Registered if there are any."""

    def __init__(self, settings: Settings, redirect: Redirect) -> None:
        self._settings = settings
        self._redirect = redirect

    def register(self, manager: pytest.PytestPluginManager) -> None:
        """Begin to be asked."""
        if not manager.has_plugin(_NAME):
            manager.register(self, _NAME)
            query_summary.register(manager)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin to listen, in the test's own context."""
        if self._redirect.is_on:
            self.queries_of(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test that passed in spite of such queries, if the project wants that."""
        result = yield
        watch = item.stash.get(_WATCH, None)
        if watch is not None and watch.mode == "error":
            found = watch.queries.for_each_row(watch.least)
            if found:
                raise _one_for_each_row([str(each) for each in found])
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Listen no longer."""
        try:
            return (yield)
        finally:
            if _WATCH in item.stash:
                item.stash[_WATCH].listening.close()
                del item.stash[_WATCH]  # a test may run again

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send what was found with the report."""
        report = yield
        watch = item.stash.get(_WATCH, None)
        if watch is not None and watch.mode == "warn" and report.when == "call":
            found = [str(each) for each in watch.queries.for_each_row(watch.least)]
            setattr(report, query_summary.FOUND, found)
        return report

    def queries_of(self, item: pytest.Item) -> RecordedQueries:
        """Return the queries of a test; they are recorded from the first call on."""
        self.register(item.config.pluginmanager)
        if _WATCH not in item.stash:
            # These two are needed by few runs of pytest.
            from pytest_asgi.database.queries import RecordedQueries  # noqa: PLC0415
            from pytest_asgi.events import heard_by  # noqa: PLC0415

            setting = settings_of_test(item, self._settings).n_plus_one
            mode, _, least = setting.partition(":")
            queries, listening = RecordedQueries(), ExitStack()
            listening.enter_context(heard_by(queries.hear))
            item.stash[_WATCH] = _Watch(queries, mode, int(least or _LEAST), listening)
        return item.stash[_WATCH].queries


def _one_for_each_row(found: list[str]) -> VerificationError:
    return VerificationError(
        "The app executed one query for each row of another (N+1):\n\n"
        + "\n".join(f"  {line}" for line in found),
        why="`asgi_n_plus_one` is `error`: such a request gets slower with each row.",
        fix="Load the rows at once: with a join, or with `selectinload(…)` of SQLAlchemy's.",
    )
