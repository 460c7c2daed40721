"""JSON that is written and read in less time is the same JSON."""

from __future__ import annotations

import json
from json import encoder
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_asgi.client import quick_json
from pytest_asgi.client.quick_json import read_json, write_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.binary(max_size=1),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=6,
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
SPACE = st.sampled_from(["", " ", "\n", "\n x", "{}"])


def outcome(call: Any) -> Any:
    """Return what a call gives, or the kind of exception that it raises."""
    try:
        return repr(call())  # NaN is not equal to itself
    except Exception as error:  # noqa: BLE001 - compared
        return type(error)


@given(VALUES)
def test_what_is_written_is_what_httpx2_writes(value: Any) -> None:
    def write_as_httpx2() -> bytes:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()

    assert outcome(lambda: write_json(value)) == outcome(write_as_httpx2)


def read(text: bytes) -> Any:
    quickly = read_json(text)
    return json.loads(text) if quickly is None else quickly[0]


@given(value=VALUES, is_escaped=st.booleans(), encoding=ENCODINGS, before=SPACE, after=SPACE)
def test_what_is_read_is_what_json_reads(
    *, value: Any, is_escaped: bool, encoding: str, before: str, after: str
) -> None:
    try:
        text = before + json.dumps(value, ensure_ascii=is_escaped) + after
    except TypeError:
        return
    encoded = text.encode(encoding, "surrogatepass" if "sig" not in encoding else "replace")

    assert outcome(lambda: read(encoded)) == outcome(lambda: json.loads(encoded))


@given(st.sampled_from([b"", b"{", b'{"', b"[", b'["']), st.binary(max_size=6))
@example(b'{"', b'\xed\xa0\x80":1}')  # half a pair, which `json` lets pass
@example(b"[", b"1" * 5_000 + b"]")  # more digits than Python reads
@example(b"", b"[{" * 100_000)  # deeper than Python goes
@example(b'["', b'a"]\0\0')
def test_what_is_no_json_is_refused_as_json_refuses_it(begin: bytes, rest: bytes) -> None:
    text = begin + rest

    assert outcome(lambda: read(text)) == outcome(lambda: json.loads(text))


@pytest.mark.parametrize("text", [b'{"a": "\xc3\xa4"}', b"[]", b"{}", b'[{"a": NaN}]', b'["a"]'])
def test_what_apps_usually_answer_is_read_quickly(text: bytes) -> None:
    value = read_json(text)

    assert value is not None
    assert repr(value[0]) == repr(json.loads(text))


def test_a_python_without_the_quick_writer_writes_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoder, "c_make_encoder", None)

    write = quick_json._make_writer()

    assert write({"ä": [1, None]}) == '{"ä":[1,null]}'
