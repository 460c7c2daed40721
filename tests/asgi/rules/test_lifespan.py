"""What an app may say about its startup and shutdown."""

from __future__ import annotations

import pytest

from pytest_asgi.asgi.rules import LifespanRules, LifespanState


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("lifespan.startup.complete", LifespanState.STARTUP_COMPLETE),
        ("lifespan.startup.failed", LifespanState.STARTUP_FAILED),
    ],
)
def test_startup_has_two_answers(kind: str, state: LifespanState) -> None:
    rules = LifespanRules("strict")

    assert rules.check({"type": kind})
    rules.check_return()

    assert rules.state is state


@pytest.mark.parametrize(
    ("message", "state"),
    [
        ({"type": "lifespan.shutdown.complete"}, LifespanState.SHUTDOWN_COMPLETE),
        ({"type": "lifespan.shutdown.failed", "message": "busy"}, LifespanState.SHUTDOWN_FAILED),
    ],
)
def test_shutdown_has_two_answers(message: dict[str, str], state: LifespanState) -> None:
    rules = LifespanRules("strict")
    rules.check({"type": "lifespan.startup.complete"})

    rules.ask_shutdown()

    assert rules.check(message)
    rules.check_return()
    assert rules.state is state


def test_with_the_rules_off_a_wrong_answer_is_none() -> None:
    rules = LifespanRules("off")

    assert not rules.check({"type": "lifespan.shutdown.complete"})
    assert not rules.check({"type": "lifespan.startup.failed", "message": 1})
    assert not rules.check({})
    rules.check_return()

    assert rules.state is LifespanState.STARTUP_AWAITED
