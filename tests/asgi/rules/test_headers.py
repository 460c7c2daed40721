"""Headers are looked at for every response: what was seen before is remembered, within bounds."""

from __future__ import annotations

from pytest_asgi.asgi.rules import headers
from pytest_asgi.asgi.rules.headers import NO_LENGTH, read_plain_length


def test_headers_that_break_no_rule_tell_the_length_of_the_body() -> None:
    assert read_plain_length([(b"content-length", b"17"), (b"x-a", b"1")]) == 17
    assert read_plain_length(((b"Content-Length", b"17"),)) == 17
    assert read_plain_length([(b"x-a", b"1")]) == NO_LENGTH
    assert read_plain_length(()) == NO_LENGTH


def test_what_is_equal_to_a_remembered_header_is_not_taken_for_it() -> None:
    assert read_plain_length([(b"x-view", b"1")]) == NO_LENGTH
    assert read_plain_length([(b"x-view", memoryview(b"1"))]) is None
    assert read_plain_length([[b"x-view", b"1"]]) is None


def test_more_names_than_are_remembered_are_judged_all_the_same() -> None:
    for number in range(3000):
        assert read_plain_length([(b"x-%d" % number, b"1")]) == NO_LENGTH
        assert read_plain_length([(b"x %d" % number, b"1")]) is None

    assert len(headers._known) <= headers._MOST_KNOWN
