"""How loud a broken rule is."""

from __future__ import annotations

import warnings
from contextvars import copy_context

import pytest

from pytest_asgi import AsyncClient
from pytest_asgi.asgi.rules import HTTPRules, Mode, rules_mode
from pytest_asgi.asgi.types import Message
from pytest_asgi.errors import ProtocolError, ProtocolWarning
from tests.apps.plain import sending

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b"Hello"}
CAPITAL: Message = {**START, "headers": [(b"X-A", b"1")]}
BREAK: Message = {**START, "headers": [(b"x-a", b"1\n")]}


def make_rules(mode: Mode | None = None) -> HTTPRules:
    return HTTPRules({"type": "http", "method": "GET"}, mode)


def warned(rules: HTTPRules, *messages: Message) -> list[str]:
    """Return the names of the rules that were warned about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for message in messages:
            rules.check(message)
    assert all(warning.category is ProtocolWarning for warning in caught)
    return [str(warning.message).rpartition("(rule ")[2].rstrip(")") for warning in caught]


@pytest.mark.parametrize("mode", ["error", "strict"])
def test_a_broken_rule_is_an_error(mode: Mode) -> None:
    with pytest.raises(ProtocolError) as caught:
        make_rules(mode).check(BREAK)

    assert caught.value.rule == "header.value-characters"


def test_a_broken_rule_is_a_warning_if_so_wished() -> None:
    assert warned(make_rules("warn"), BREAK) == ["header.value-characters"]


def test_a_rule_is_warned_about_once_in_an_exchange() -> None:
    rules = make_rules("warn")

    assert warned(rules, BODY, BODY, BREAK) == [
        "http.body.before-start",
        "header.value-characters",
    ]


def test_a_message_that_breaks_two_rules_is_warned_about_twice() -> None:
    message = {**BREAK, "status": 999}

    assert set(warned(make_rules("warn"), message)) == {
        "header.value-characters",
        "http.start.status-range",
    }


def test_nothing_is_said_if_so_wished() -> None:
    assert warned(make_rules("off"), BODY, BREAK) == []


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("error", []), ("warn", []), ("off", []), ("strict", ["header.name-lowercase"])],
)
def test_advice_is_given_to_the_strict_only(mode: Mode, expected: list[str]) -> None:
    assert warned(make_rules(mode), CAPITAL) == expected


def test_without_a_mode_of_their_own_rules_take_that_of_the_context() -> None:
    def check_quietly() -> bool:
        rules_mode.set("off")
        return make_rules().check(BODY)

    assert copy_context().run(check_quietly) is False
    with pytest.raises(ProtocolError):
        make_rules().check(BODY)


async def test_a_warning_points_at_the_line_of_the_app() -> None:
    with pytest.warns(ProtocolWarning) as caught:
        await AsyncClient(sending(START, BODY, BODY), rules="warn").get("/")

    (warning,) = caught
    assert warning.filename == sending.__code__.co_filename


async def test_a_warning_about_what_was_not_sent_points_at_no_app() -> None:
    with pytest.warns(ProtocolWarning, match=r"returned without a response.*http\.end\.no-start"):
        response = await AsyncClient(sending(), rules="warn").get("/")

    assert response.status_code == 500
