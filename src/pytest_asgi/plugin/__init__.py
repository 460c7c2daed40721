"""The pytest plugin: hooks, each delegating in a line or two. Only this folder imports pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from pytest_asgi.adapters.lifespans import has_lifespan
from pytest_asgi.asgi.frameworks import declares_lifespan
from pytest_asgi.asgi.modes import rules_mode
from pytest_asgi.client.portal import run_coroutine
from pytest_asgi.plugin import header, hookspecs, peer_options, stand_ins
from pytest_asgi.plugin.assembly import ASSEMBLY, Assembly
from pytest_asgi.plugin.neighbours import declare_marks, stand_aside
from pytest_asgi.plugin.redirection import redirect_of
from pytest_asgi.plugin.registration import register_hooks
from pytest_asgi.plugin.second_loops import watch_loops
from pytest_asgi.plugin.settings import add_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextvars import ContextVar

T = TypeVar("T")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hooks for projects known."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the options known."""
    add_options(parser)


def pytest_plugin_registered(plugin: object, manager: pytest.PytestPluginManager) -> None:
    """Let a plugin that would run the same tests stand aside."""
    stand_aside(plugin, manager)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Answer `import pytest_asyncio` and watch for loops before the first conftest asks."""
    watch_loops(early_config)
    peer_options.make_known(early_config)
    stand_ins.install(early_config)
    redirect_of(early_config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the settings and register what depends on them."""
    declare_marks(config)
    assembly = config.stash[ASSEMBLY] = Assembly(config, redirect_of(config))
    register_hooks(assembly, config)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Offer the fixtures whose names nobody else has taken, and the way into the loop."""
    from pytest_asgi.plugin.offers import offer_fixtures

    offer_fixtures(session)
    # In the context that every test inherits: `TestClient` finds the session's loop through the
    # first, and every client the settings of the rules and what it asks about frameworks.
    assembly = session.config.stash[ASSEMBLY]
    _set_for_session(session, run_coroutine, assembly.run_for_client)
    _set_for_session(session, declares_lifespan, has_lifespan)
    _set_for_session(session, rules_mode, assembly.settings.rules)
    assembly.stay_at_home()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what was found, and who runs what."""
    return header.before_collection(config.stash[ASSEMBLY])


def pytest_report_collectionfinish(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> list[str]:
    """Say what only the collected tests could tell."""
    return header.after_collection(config.stash[ASSEMBLY], items)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show changes of a database beside those that were expected."""
    from pytest_asgi.plugin import assertions

    return assertions.explain(op, left, right)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the loop."""
    assembly = config.stash.get(ASSEMBLY, None)
    if assembly is not None:
        assembly.close()


def _set_for_session(session: pytest.Session, variable: ContextVar[T], value: T) -> None:
    before, token = variable.get(), variable.set(value)

    def put_back() -> None:
        # What the thread's own context still holds at the very end is freed after all else, and
        # here the session with all its tests would be behind it.
        try:
            variable.reset(token)
        except ValueError:  # the session went on in a copy of the context it began in
            variable.set(before)

    session.config.add_cleanup(put_back)
