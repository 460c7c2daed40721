"""Apps that break one rule each: what they are called and how the suite writes them."""

from __future__ import annotations

from typing import NamedTuple

from pytest_asgi.asgi.types import ASGIApp, Message
from tests.apps.plain import sending


class Case(NamedTuple):
    """An app that breaks a rule.

    Attributes:
        rule: The rule that it breaks.
        name: What it does, the end of "an app that …".
        offered: The extensions that it is offered.
        method: The method of the request that it answers.
    """

    rule: str
    name: str
    app: ASGIApp
    offered: tuple[str, ...] = ()
    method: str = "GET"


START: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b"Hello"}
MORE: Message = {**BODY, "more_body": True}


def answering(
    *headers: tuple[object, object], status: object = 200, body: object = b"Hello"
) -> ASGIApp:
    """Return an app that answers with these headers, this status and this body."""
    start = {**START, "status": status, "headers": list(headers)}
    return sending(start, {**BODY, "body": body})


def case_id(case: Case) -> str:
    return case.name
