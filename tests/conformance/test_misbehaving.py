"""Each of these apps breaks exactly one rule, and is told which."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from pytest_asgi import AsyncClient, ProtocolError, ProtocolWarning, WebSocketError
from pytest_asgi.asgi.lifespan import Lifespan
from pytest_asgi.asgi.rules import RULES, rules_mode
from pytest_asgi.asgi.types import ASGIApp
from tests.conformance.cases import Case, case_id
from tests.conformance.misbehaving import (
    http_bodies,
    http_extensions,
    http_headers,
    http_messages,
    http_order,
    lifespans,
    websockets,
)
from tests.conformance.websocket import converse

HTTP = (
    *http_messages.CASES,
    *http_headers.CASES,
    *http_bodies.CASES,
    *http_order.CASES,
    *http_extensions.CASES,
)


async def expect_rule(case: Case, provoke: Callable[[], Awaitable[object]]) -> None:
    """Require that the app is told of its rule and of no other."""
    rule = RULES[case.rule]
    if rule.severity == "advice":
        rules_mode.set("strict")
        with pytest.warns(ProtocolWarning, match=rf"\(rule {rule.id}\)$") as warned:
            await provoke()
        assert len(warned) == 1
    else:
        with pytest.raises(ProtocolError) as caught:
            await provoke()
        assert caught.value.rule == rule.id
        assert rule.link in caught.value.why
        assert caught.value.fix == rule.fix


@pytest.mark.parametrize("case", HTTP, ids=case_id)
async def test_an_app_that_answers_wrongly_is_told_the_rule(case: Case) -> None:
    client = AsyncClient(case.app, extensions={name: {} for name in case.offered})

    await expect_rule(case, lambda: client.request(case.method, "/"))


@pytest.mark.parametrize("case", websockets.CASES, ids=case_id)
async def test_an_app_that_connects_wrongly_is_told_the_rule(case: Case) -> None:
    await expect_rule(case, lambda: converse(case.app, offered=case.offered))


async def connect(app: ASGIApp) -> None:
    """Connect with the client, which offers denial responses to every app, and listen."""
    with suppress(WebSocketError):
        async with AsyncClient(app).websocket("/", subprotocols=["chat", "mqtt"]) as ws:
            await ws.receive()


@pytest.mark.parametrize(
    "case", [case for case in websockets.CASES if case.rule != "message.extension"], ids=case_id
)
async def test_an_app_that_connects_wrongly_fails_the_clients_test(case: Case) -> None:
    await expect_rule(case, lambda: connect(case.app))


@pytest.mark.parametrize("case", lifespans.CASES, ids=case_id)
async def test_an_app_that_lives_wrongly_is_told_the_rule(case: Case) -> None:
    async def live() -> None:
        async with Lifespan(case.app):
            pass

    await expect_rule(case, live)


def test_every_rule_is_broken_by_one_of_these_apps() -> None:
    broken = {case.rule for case in (*HTTP, *websockets.CASES, *lifespans.CASES)}

    assert broken == set(RULES)


@pytest.mark.parametrize("cases", [HTTP, websockets.CASES, lifespans.CASES])
def test_no_two_apps_are_called_the_same(cases: tuple[Case, ...]) -> None:
    names = [case.name for case in cases]

    assert sorted(names) == sorted(set(names))
