"""Scopes hold what the specification says, and nothing that two requests share by accident."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_asgi.asgi.scope import ScopeTemplate, Target, build_lifespan_scope, locate
from pytest_asgi.asgi.types import Scope

TARGET = locate("https", "test", None, "/a b", b"/a%20b?c=d")


def template(**options: Any) -> ScopeTemplate:
    values: dict[str, Any] = {
        "client": ("127.0.0.1", 1),
        "root_path": "/root",
        "http_version": "1.1",
        "extensions": {},
        "state": None,
    }
    return ScopeTemplate(**{**values, **options})


def http_scope(target: Target = TARGET, **options: Any) -> Scope:
    return template(**options).build_http("GET", target, [(b"host", b"test")])


def test_an_http_scope_holds_the_request() -> None:
    assert http_scope() == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=d",
        "root_path": "/root",
        "headers": [(b"host", b"test")],
        "client": ("127.0.0.1", 1),
        "server": ("test", 443),
        "extensions": {"http.response.debug": {}},
    }


def test_a_websocket_scope_holds_the_handshake() -> None:
    target = locate("ws", "test", None, "/a b", b"/a%20b?c=d")

    scope = template(state={"pool": 1}).build_websocket(target, [(b"host", b"test")], ["chat"])

    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=d",
        "root_path": "/root",
        "headers": [(b"host", b"test")],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "subprotocols": ["chat"],
        "extensions": {"websocket.http.response": {}},
        "state": {"pool": 1},
    }


def test_a_websocket_scope_without_a_lifespan_has_no_state() -> None:
    assert "state" not in template().build_websocket(TARGET, [], [])


def test_extensions_are_offered_beside_those_that_are_always_there() -> None:
    scope = http_scope(extensions={"http.response.trailers": {}})

    assert scope["extensions"] == {"http.response.debug": {}, "http.response.trailers": {}}


def test_what_an_app_changes_is_not_seen_by_the_next_request() -> None:
    common = template()
    scope = common.build_http("GET", TARGET, [])
    scope["extensions"]["mine"] = {}
    scope["asgi"]["mine"] = 1

    following = common.build_http("GET", TARGET, [])

    assert "mine" not in following["extensions"]
    assert "mine" not in following["asgi"]


def test_a_lifespan_scope_hands_out_the_state_itself() -> None:
    state: dict[str, Any] = {}

    scope = build_lifespan_scope(state=state)

    assert scope == {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "state": {},
    }
    assert scope["state"] is state


def test_a_port_in_the_url_wins_over_the_default_of_its_scheme() -> None:
    scope = http_scope(locate("http", "test", 8000, "/", b"/"))

    assert scope["server"] == ("test", 8000)


def test_each_request_gets_a_shallow_copy_of_the_state() -> None:
    pool = object()
    state = {"pool": pool}

    scope = http_scope(state=state)
    scope["state"]["mine"] = 1

    assert state == {"pool": pool}
    assert scope["state"]["pool"] is pool


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_each_scheme_has_its_default_port(scheme: str, port: int) -> None:
    scope = http_scope(locate(scheme, "test", None, "/", b"/"))

    assert scope["server"] == ("test", port)
