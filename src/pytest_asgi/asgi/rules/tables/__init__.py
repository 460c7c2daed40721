"""Every rule, as tables to read: one line per rule, in the order of the specification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asgi.asgi.rules.tables.headers import HEADERS
from pytest_asgi.asgi.rules.tables.http import HTTP
from pytest_asgi.asgi.rules.tables.lifespan import LIFESPAN
from pytest_asgi.asgi.rules.tables.messages import MESSAGES
from pytest_asgi.asgi.rules.tables.websocket import WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asgi.asgi.rules.rule import Rule

TABLES: Mapping[str, tuple[Rule, ...]] = {
    "Messages": MESSAGES,
    "Headers": HEADERS,
    "HTTP": HTTP,
    "WebSocket": WEBSOCKET,
    "Lifespan": LIFESPAN,
}

RULES: Mapping[str, Rule] = {rule.id: rule for table in TABLES.values() for rule in table}
