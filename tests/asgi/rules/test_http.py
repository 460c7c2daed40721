"""What an app may send in answer to a request: what is allowed, and how a lenient server goes on.

What is not allowed is in the conformance suite, an app for each rule.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_asgi.asgi.rules import RULES, HTTPRules, Mode, State
from pytest_asgi.asgi.types import Message
from pytest_asgi.errors import ProtocolError

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
BODY: Message = {"type": "http.response.body", "body": b"Hello"}
MORE: Message = {**BODY, "more_body": True}
TRAILERS: Message = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}
PATH: Message = {"type": "http.response.pathsend", "path": str(Path(__file__).resolve())}
HINT: Message = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
PUSH: Message = {"type": "http.response.push", "path": "/a.css", "headers": []}
DEBUG: Message = {"type": "http.response.debug", "info": {"template": "a.html"}}


def make_rules(mode: Mode = "error", method: str = "GET") -> HTTPRules:
    names = ("trailers", "pathsend", "early_hint", "push", "debug", "zerocopysend")
    extensions: dict[str, Any] = {f"http.response.{name}": {} for name in names}
    return HTTPRules({"type": "http", "method": method, "extensions": extensions}, mode)


def with_headers(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {**START, "status": status, "headers": headers}


# --- what is allowed -------------------------------------------------------------------------


def test_a_response_is_awaited_then_started_then_complete() -> None:
    rules = make_rules()
    states = [rules.state]

    for message in (START, MORE, BODY):
        assert rules.check(message)
        states.append(rules.state)

    assert states == [
        State.RESPONSE_AWAITED,
        State.RESPONSE_STARTED,
        State.RESPONSE_STARTED,
        State.RESPONSE_COMPLETE,
    ]


@pytest.mark.parametrize("mode", ["error", "strict"])
@pytest.mark.parametrize(
    "messages",
    [
        [START, BODY],
        [START, {"type": "http.response.body"}],
        [{"type": "http.response.start", "status": 200}, BODY],
        [{**START, "status": HTTPStatus.CREATED}, BODY],
        [{**START, "headers": ([b"x-a", b"1"],)}, BODY],
        [with_headers((b"x-a", b"")), BODY],
        [with_headers((b"x-a", b"f\xfcr")), BODY],
        [with_headers((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")), BODY],
        [with_headers((b"content-length", b"5")), BODY],
        [with_headers((b"content-length", b"10")), MORE, BODY],
        [with_headers((b"content-length", b"5")), MORE, {**BODY, "body": b""}],
        [with_headers((b"content-length", b"5"), (b"content-length", b"5")), BODY],
        [with_headers((b"content-length", b"0")), {**BODY, "body": b""}],
        [with_headers((b"transfer-encoding", b"chunked")), BODY],
        [with_headers(status=204), {**BODY, "body": b""}],
        [with_headers((b"content-length", b"5"), status=304), {**BODY, "body": b""}],
        [START, {**BODY, "body": bytearray(b"Hello")}],
        [with_headers((b"content-length", b"5")), {**BODY, "body": memoryview(b"Hello")}],
        [{**START, "trailers": False}, BODY],
        [{**START, "trailers": True}, MORE, BODY, {**TRAILERS, "more_trailers": True}, TRAILERS],
        [{**START, "trailers": True}, BODY, {"type": "http.response.trailers"}],
        [DEBUG, START, BODY],
        [HINT, HINT, START, HINT, BODY],
        [PUSH, START, PUSH, BODY],
        [START, PATH],
        [with_headers((b"content-length", b"5")), PATH],
        [{**START, "trailers": True}, PATH, TRAILERS],
    ],
)
def test_a_response_that_keeps_the_rules_is_complete(mode: Mode, messages: list[Message]) -> None:
    rules = make_rules(mode)

    assert [rules.check(message) for message in messages] == [True] * len(messages)
    rules.check_return()

    assert rules.state is State.RESPONSE_COMPLETE


@pytest.mark.parametrize("count", [{}, {"offset": 2, "count": 3}])
def test_an_open_file_may_be_sent_beside_parts_of_a_body(count: dict[str, int]) -> None:
    rules = make_rules()

    with Path(__file__).open("rb") as file:
        message = {"type": "http.response.zerocopysend", "file": file, **count}
        for each in (with_headers((b"content-length", b"9")), MORE, message):
            assert rules.check(each)

    assert rules.state is State.RESPONSE_COMPLETE


@pytest.mark.parametrize("body", [b"", b"Hello"])
@pytest.mark.parametrize("length", [b"5", b"9"])
def test_the_answer_to_head_may_have_a_body_or_none(body: bytes, length: bytes) -> None:
    rules = make_rules(method="HEAD")

    assert rules.check(with_headers((b"content-length", length)))
    assert rules.check({**BODY, "body": body})


@pytest.mark.parametrize(
    ("length", "what"),
    [
        (3, "2 bytes longer than its content-length"),
        (4, "1 byte longer than its content-length"),
        (6, "1 byte before its content-length"),
        (7, "2 bytes before its content-length"),
    ],
)
def test_by_how_much_a_body_misses_its_length_is_told(length: int, what: str) -> None:
    rules = make_rules()
    rules.check(with_headers((b"content-length", b"%d" % length)))

    with pytest.raises(ProtocolError, match=what):
        rules.check(BODY)


def test_headers_that_can_be_read_once_are_kept_for_the_exchange() -> None:
    def headers() -> Iterator[tuple[bytes, bytes]]:
        yield b"x-a", b"1"

    message = {**START, "headers": headers()}

    assert make_rules().check(message)
    assert message["headers"] == [(b"x-a", b"1")]


@pytest.mark.parametrize(("offered", "count"), [("flush", 0), ("tls", 1)])
def test_a_message_of_an_extension_that_only_its_client_knows_is_no_fault(
    offered: str, count: int
) -> None:
    scope = {"type": "http", "method": "GET", "extensions": {offered: {}}}
    rules = HTTPRules(scope, "warn")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not rules.check({"type": "http.flush"})

    assert len(caught) == count


# --- the client goes away --------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], [START], [START, MORE]])
def test_once_the_client_has_gone_nothing_is_a_fault_and_nothing_counts(
    before: list[Message],
) -> None:
    rules = make_rules()
    for message in before:
        rules.check(message)

    rules.disconnect()

    assert not rules.check(START)
    assert not rules.check({**BODY, "body": "text"})
    rules.check_return()
    assert rules.state is State.CLIENT_GONE


def test_a_response_that_was_complete_stays_so_when_the_client_goes() -> None:
    rules = make_rules()
    rules.check(START)
    rules.check(BODY)

    rules.disconnect()

    assert rules.state is State.RESPONSE_COMPLETE
    with pytest.raises(ProtocolError, match="after the response was complete"):
        rules.check(BODY)


# --- a lenient server ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "counts"),
    [
        ([BODY, START, BODY], [False, True, True]),
        ([START, START, BODY, BODY], [True, False, True, False]),
        ([{**START, "status": "200"}, START, BODY], [False, True, True]),
        ([{**START, "headers": None}, START, BODY], [False, True, True]),
        ([{**START, "status": 999}, BODY], [True, True]),
        ([START, {**BODY, "body": "text"}, BODY], [True, False, True]),
        ([START, {**BODY, "more_body": 1}, {**BODY, "more_body": 0}], [True, True, True]),
        ([with_headers((b"content-length", b"2")), MORE, BODY], [True, True, True]),
        ([with_headers((b"content-length", b"-1")), BODY], [True, True]),
        ([START, {"type": "http.response.stop"}, BODY], [True, False, True]),
        ([None, START, BODY], [False, True, True]),
        ([START, MORE, PATH, BODY], [True, True, False, True]),
    ],
)
def test_with_the_rules_off_a_server_drops_what_it_cannot_use(
    messages: list[Any], counts: list[bool]
) -> None:
    rules = make_rules("off")

    assert [rules.check(message) for message in messages] == counts
    rules.check_return()

    assert rules.state is State.RESPONSE_COMPLETE


def test_with_the_rules_off_a_response_may_be_left_undone() -> None:
    rules = make_rules("off")

    rules.check_return()

    assert rules.state is State.RESPONSE_AWAITED


def test_trailers_that_nobody_takes_are_not_waited_for() -> None:
    rules = HTTPRules({"type": "http", "method": "GET"}, "off")

    assert rules.check({**START, "trailers": True})
    assert rules.check(BODY)
    assert not rules.check(TRAILERS)

    assert rules.state is State.RESPONSE_COMPLETE


# --- two ways of looking ---------------------------------------------------------------------

_names = st.sampled_from(
    [b"x-a", b"X-A", b"content-length", b"transfer-encoding", b"", b":s", "a"]
)
_values = st.sampled_from([b"", b"0", b"3", b"5", b"05", b"a\nb", b"a\rb", b"a\0b", " 5", b"x"])
_headers = st.lists(st.tuples(_names, _values), max_size=3) | st.none()
_starts = st.fixed_dictionaries(
    {"type": st.just("http.response.start")},
    optional={
        "status": st.sampled_from([200, 204, 304, 99, 103, 599, 600, "200", True, None]),
        "headers": _headers,
        "trailers": st.booleans() | st.none(),
    },
)
_bodies = st.fixed_dictionaries(
    {"type": st.just("http.response.body")},
    optional={
        "body": st.sampled_from([b"", b"abc", b"Hello", "text", memoryview(b"abc"), None]),
        "more_body": st.booleans() | st.sampled_from([0, 1, None]),
    },
)
_messages = st.lists(_starts | _bodies | st.sampled_from([TRAILERS, DEBUG, PATH]), max_size=5)


def _judge(rules: HTTPRules, look: Any, messages: list[Message]) -> list[object]:
    """Return what became of the messages: whether they count, or which rule they break."""
    judged: list[object] = []
    for message in messages:
        try:
            judged.append(look(message))
        except ProtocolError as error:
            judged.append(error.rule)
        judged.append(rules.state)
    try:
        rules.check_return()
    except ProtocolError as error:
        judged.append(error.rule)
    return judged


@given(
    messages=_messages,
    mode=st.sampled_from(["error", "off"]),
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_the_quick_look_sees_what_the_close_look_sees(
    messages: list[Message], mode: Mode, method: str
) -> None:
    quick, close = make_rules(mode, method), make_rules(mode, method)

    seen = _judge(quick, quick.check, messages)

    assert seen == _judge(close, close._look_closely, messages)


@given(messages=_messages)
def test_whatever_an_app_sends_the_rule_it_breaks_is_an_error_of_the_table(
    messages: list[Message],
) -> None:
    rules = make_rules()

    for judged in _judge(rules, rules.check, messages):
        assert not isinstance(judged, str) or RULES[judged].severity == "error"
