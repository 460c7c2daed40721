"""What is raised, so that a test catches it by whichever library's class it has imported.

Each exception is ours, and of the classes of httpx2, httpx-ws and Starlette that are loaded.
"""

from __future__ import annotations

import sys
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_asgi.asgi.websocket import ABNORMAL_CLOSURE, NORMAL_CLOSURE
from pytest_asgi.errors import (
    WebSocketDisconnect,
    WebSocketError,
    WebSocketInvalidTypeReceived,
    WebSocketRejectedError,
    WebSocketUpgradeError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_asgi.asgi.types import Scope
    from pytest_asgi.asgi.websocket import Closing, WebSocketExchange

_E = TypeVar("_E", bound=WebSocketError)

_CLIENTS = ("httpx2.websockets", "httpx_ws")
_STARLETTE = ("starlette.websockets",)
_PEERS: Mapping[type[WebSocketError], Mapping[str, tuple[str, ...]]] = {
    WebSocketDisconnect: {"WebSocketDisconnect": (*_CLIENTS, *_STARLETTE)},
    WebSocketUpgradeError: {
        "WebSocketUpgradeError": _CLIENTS,
        "WebSocketDenialResponse": ("starlette.testclient",),
    },
    WebSocketRejectedError: {
        "WebSocketUpgradeError": _CLIENTS,
        "WebSocketDisconnect": (*_CLIENTS, *_STARLETTE),
    },
    WebSocketInvalidTypeReceived: {"WebSocketInvalidTypeReceived": _CLIENTS},
}

_EXPECT_IT = (
    "Send what the app asks for: headers, cookies, subprotocols. If it is to refuse, expect it "
    "with `pytest.raises(WebSocketUpgradeError)`."
)
_COMPARE_ROUTES = (
    "Compare the path with those of the app's routes, their prefixes and mounts included; the "
    "route is one for WebSockets"
)


# What frameworks answer to a path that has no route, and to one whose route is for HTTP.
_WITHOUT_ROUTE = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
_NAMES_WITHOUT_ROUTE = [status.phrase for status in _WITHOUT_ROUTE]


def make_disconnect(closing: Closing) -> WebSocketDisconnect:
    """Return what says that a connection is closed."""
    return _kind(WebSocketDisconnect)(
        **_explain(closing), code=closing.code, reason=closing.reason
    )


def make_upgrade_error(
    response: Any, exchange: WebSocketExchange | None = None
) -> WebSocketUpgradeError:
    """Return what says that a handshake was answered with something else than a connection.

    Args:
        response: The answer, in the class of the client's library.
        exchange: The app's side of it; `None` if it was not the app that answered.
    """
    closing = None if exchange is None else exchange.closing
    fix = _EXPECT_IT
    if exchange is not None and _is_perhaps_without_route(
        response.status_code, closing, exchange.scope
    ):
        why_not = f"Perhaps the app has no WebSocket route for {exchange.scope['path']}"
        fix = f"{why_not}. {_COMPARE_ROUTES}.\n\n{_EXPECT_IT}"
    if exchange is not None and closing is not None and closing.code != ABNORMAL_CLOSURE:
        what = f"The app closed {response.url} with {_name(closing)} instead of accepting it."
        if _is_without_route(exchange.scope):
            path = exchange.scope["path"]
            what = f"The app has no WebSocket route for {path}.\n\n{what}"
            fix = f'{_COMPARE_ROUTES}: `@app.websocket("{path}")`.'
        return _kind(WebSocketRejectedError)(
            what,
            why=f"A server answers this with {response.status_code}.",
            fix=fix,
            response=response,
            code=closing.code,
            reason=closing.reason,
        )
    error = _kind(WebSocketUpgradeError)(
        f"{response.url} was answered with {response.status_code} {response.reason_phrase}.",
        why="A WebSocket connection begins with 101.",
        fix=fix,
        response=response,
    )
    denial = getattr(sys.modules.get("starlette.testclient"), "WebSocketDenialResponse", None)
    if denial is not None and exchange is not None:
        # Starlette's exception is a response itself.
        denial.__init__(error, exchange.status, headers=exchange.headers, content=exchange.body)
    return error


def _is_without_route(scope: Scope) -> bool:
    """Tell whether a router of Starlette or FastAPI has looked for a route in vain.

    It leaves itself in the scope, and the endpoint when it finds one; that of a mount is the next
    router.
    """
    return "router" in scope and hasattr(scope.get("endpoint", scope["router"]), "routes")


def _is_perhaps_without_route(status: int, closing: Closing | None, scope: Scope) -> bool:
    """Tell whether an app says what frameworks say that have no route, or one for HTTP only.

    They say so by the status, by a code that ends like it, or by its name. BlackSheep closes, and
    says nothing.
    """
    if "endpoint" in scope:  # Starlette has found a route, which says this of its own accord.
        return False
    if closing is None or closing.code == ABNORMAL_CLOSURE:
        return status in _WITHOUT_ROUTE
    if closing.code == NORMAL_CLOSURE:
        return not closing.reason
    return closing.code % 1000 in _WITHOUT_ROUTE or closing.reason in _NAMES_WITHOUT_ROUTE


def make_invalid_type(event: Any, wanted: str) -> WebSocketInvalidTypeReceived:
    """Return what says that a message holds text instead of bytes, or bytes instead of text."""
    other = "bytes" if wanted == "text" else "text"
    return _kind(WebSocketInvalidTypeReceived)(
        f"The app sent {other}: {event.data!r:.80}",
        why=f"The test waited for {wanted}.",
        fix=f"Call `receive_{other}()`, or let the app send {wanted}.",
        event=event,
    )


def _explain(closing: Closing) -> dict[str, str]:
    if closing.by == "client":
        return {
            "what": f"The test has closed the connection with {_name(closing)}.",
            "why": "Nothing is sent or received after that.",
            "fix": "Close the connection later, or leave it to the end of the `with` block.",
        }
    if closing.code == ABNORMAL_CLOSURE:
        return {
            "what": "The app ended without closing the connection (1006).",
            "why": "A server drops the connection then, and browsers report 1006.",
            "fix": "Close it in the app:\n\n    await websocket.close()",
        }
    return {
        "what": f"The app closed the connection with {_name(closing)}.",
        "why": "The test expected the connection to be open.",
        "fix": "If the app is to close it, expect it with `pytest.raises(WebSocketDisconnect)`.",
    }


def _name(closing: Closing) -> str:
    return f"{closing.code}: {closing.reason}" if closing.reason else f"{closing.code}"


def _kind(ours: type[_E]) -> type[_E]:
    """Return the class that is `ours` and those of the peers that are loaded."""
    loaded = [
        getattr(sys.modules.get(module), name, None)
        for name, modules in _PEERS[ours].items()
        for module in modules
    ]
    peers = tuple(filter(None, loaded))
    kind: type[_E] = _combine((ours, *peers)) if peers else ours
    return kind


@cache
def _combine(kinds: tuple[type, ...]) -> Any:
    return type(kinds[0].__name__, kinds, {"__module__": kinds[0].__module__})
