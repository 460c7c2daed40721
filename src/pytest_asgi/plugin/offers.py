"""Offer fixtures under names that nobody else has taken.

A fixture of the project's always wins: pytest prefers what is closer to the test. Another
plugin's fixture wins too, which pytest would leave to the order in which plugins are loaded.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from pytest_asgi.plugin import fixtures, pytest_private, trio_fixtures
from pytest_asgi.plugin.stand_ins import fixtures as stand_in_fixtures

if TYPE_CHECKING:
    import pytest


def offer_fixtures(session: pytest.Session) -> None:
    """Register each fixture that may give way, unless its name is taken."""
    offered = ModuleType("pytest_asgi.offered_fixtures")  # pytest looks into modules and classes
    for module in (fixtures, trio_fixtures, stand_in_fixtures):
        for name in module.OFFERED:
            if not pytest_private.has_fixture(session, name):
                setattr(offered, name, getattr(module, name))
    session.config.pluginmanager.register(offered, "asgi-offered-fixtures")
