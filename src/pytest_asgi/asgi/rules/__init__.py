"""The rules of ASGI: what an app may send, when, and how it learns what it did wrong.

Only this package knows the rules. It knows nothing about who is talking, so the same rules
check real apps and our own fakes. The tables say what each rule is; `http`, `websocket` and
`lifespan` say when it is broken. To add a rule, add a line to a table, and an app that breaks it
to the tests' conformance suite.
"""

from __future__ import annotations

from pytest_asgi.asgi.modes import Mode, rules_mode
from pytest_asgi.asgi.rules.headers import NO_LENGTH
from pytest_asgi.asgi.rules.http import HTTPRules, State, find_plain_length
from pytest_asgi.asgi.rules.lifespan import LifespanRules, LifespanState
from pytest_asgi.asgi.rules.rule import Rule
from pytest_asgi.asgi.rules.tables import RULES, TABLES
from pytest_asgi.asgi.rules.websocket import WebSocketRules, WebSocketState

__all__ = [
    "NO_LENGTH",
    "RULES",
    "TABLES",
    "HTTPRules",
    "LifespanRules",
    "LifespanState",
    "Mode",
    "Rule",
    "State",
    "WebSocketRules",
    "WebSocketState",
    "find_plain_length",
    "rules_mode",
]
