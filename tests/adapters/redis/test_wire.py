"""The protocol of Redis, spoken with a real server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_asgi.adapters.redis.store import RedisStore
from pytest_asgi.adapters.redis.wire import Wire, WireError


@pytest.fixture
def wire(store: RedisStore) -> Iterator[Wire]:
    wire = Wire(store.address, store.address["db"])
    yield wire
    wire.close()


@pytest.mark.parametrize(
    ("lua", "answer"),
    [
        ("1", 1),
        ("'text'", b"text"),
        ("{ok='fine'}", b"fine"),
        ("nil", None),
        ("true", True),
        ("{1, {2, 'x'}}", [1, [2, b"x"]]),
        ("{double=1.5}", 1.5),
        ("{big_number='12345678901234567890'}", b"12345678901234567890"),
        ("{set={a=true, b=true}}", {b"a", b"b"}),
        ("{map={a=1}}", {b"a": 1}),
        ("{verbatim_string={string='text', format='txt'}}", b"txt:text"),
    ],
)
def test_what_a_server_answers_becomes_what_python_has(wire: Wire, lua: str, answer: Any) -> None:
    assert wire.call("EVAL", f"redis.setresp(3); return {lua}", 0) == answer


def test_an_error_is_raised_and_the_connection_goes_on(wire: Wire) -> None:
    with pytest.raises(WireError, match="unknown command"):
        wire.call("NONSENSE")
    with pytest.raises(WireError, match="OOPS"):
        wire.call_all([("SET", "key", 1), ("EVAL", "return {err='OOPS'}", 0), ("SET", "key", 2)])

    assert wire.call("GET", "key") == b"2"


def test_binary_keys_and_values_pass_unchanged(wire: Wire) -> None:
    wire.call("SET", b"\x00\r\n", b"\xff\r\n")

    assert wire.call("GET", b"\x00\r\n") == b"\xff\r\n"


@pytest.mark.parametrize(
    ("greeting", "message"),
    [(b"HTTP/1.1 400 Bad Request\r\n", "not the protocol"), (b"", "closed the connection")],
)
def test_what_is_no_redis_is_noticed(greeting: bytes, message: str) -> None:
    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        host, port = listening.getsockname()
        with pytest.raises(ConnectionError, match=message):
            Wire({"host": host, "port": port})
        thread.join()
