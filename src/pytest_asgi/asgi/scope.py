"""Build http, websocket and lifespan scopes from plain values.

Nothing here knows where the values come from: no URL is parsed and no default is guessed
that the caller could know better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_asgi.asgi.types import Address, RawHeaders, Scope

# With 2.4 an app may write a response without listening for a disconnect beside it: `send`
# raises `OSError` once the client is gone. Apps then answer in the one task we call them in.
# https://asgi.readthedocs.io/en/latest/specs/www.html#version-history
_HTTP_SPECIFICATION = "2.4"
_LIFESPAN_SPECIFICATION = "2.0"

# What is another value in every scope.
_OF_REQUEST = ("asgi", "scheme", "server", "path", "raw_path", "query_string", "headers")

# What names the extensions that a WebSocket connection cannot have.
_OF_HTTP = "http.response."

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Target(NamedTuple):
    """What a URL tells the app.

    Attributes:
        server: Host and port.
        raw_path: The path as it is sent, percent-encoded and without the query.
    """

    scheme: str
    server: tuple[str, int | None]
    path: str
    raw_path: bytes
    query_string: bytes


def locate(scheme: str, host: str, port: int | None, path: str, target: bytes) -> Target:
    """Return what a URL tells the app; `target` is the path and the query as they are sent."""
    raw_path, _, query_string = target.partition(b"?")
    server = host, port if port is not None else _DEFAULT_PORTS.get(scheme)
    return Target(scheme, server, path, raw_path, query_string)


class ScopeTemplate:
    """What the scopes of all requests of one client have in common.

    Args:
        client: The address that the app sees as the client's.
        root_path: Where the app is mounted.
        http_version: The version of HTTP that the app is told.
        extensions: The extensions that are offered beside those that cost an app nothing.
        state: What the lifespan left for requests, each of which gets a shallow copy; `None`
            leaves the key out.
    """

    def __init__(
        self,
        *,
        client: Address,
        root_path: str,
        http_version: str,
        extensions: Mapping[str, Any],
        state: dict[str, Any] | None,
    ) -> None:
        self._state = state
        self._asgi = {"version": "3.0", "spec_version": _HTTP_SPECIFICATION}
        common: Scope = {"http_version": http_version, "root_path": root_path, "client": client}
        # Whole scopes, because copying one is quicker than building it.
        self._http: dict[str, Any] = {
            **common,
            "type": "http",
            "method": "",
            **dict.fromkeys(_OF_REQUEST),
            "extensions": {"http.response.debug": {}, **extensions},
        }
        self._websocket: dict[str, Any] = {
            **common,
            "type": "websocket",
            "subprotocols": [],
            **dict.fromkeys(_OF_REQUEST),
            "extensions": {
                "websocket.http.response": {},
                **{
                    name: value
                    for name, value in extensions.items()
                    if not name.startswith(_OF_HTTP)
                },
            },
        }

    def build_http(self, method: str, target: Target, headers: RawHeaders) -> Scope:
        """Return the scope of one request; header names are in lower case already."""
        return self.complete(self.prepare_http(method, target), headers)

    def prepare_http(self, method: str, target: Target) -> dict[str, Any]:
        """Return what the scopes of all requests with this method to this target begin as."""
        # https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
        scope = _put(self._http, target)
        scope["method"] = method
        return scope

    def build_websocket(
        self, target: Target, headers: RawHeaders, subprotocols: Sequence[str]
    ) -> Scope:
        """Return the scope of one WebSocket connection."""
        # https://asgi.readthedocs.io/en/latest/specs/www.html#websocket-connection-scope
        scope = self.complete(_put(self._websocket, target), headers)
        scope["subprotocols"] = list(subprotocols)
        return scope

    def complete(self, prepared: dict[str, Any], headers: RawHeaders) -> Scope:
        """Return the scope of one request that begins as prepared."""
        scope = prepared.copy()
        scope["headers"] = headers
        # Copies: what an app changes must not be seen by the next request.
        scope["asgi"] = self._asgi.copy()
        scope["extensions"] = scope["extensions"].copy()
        if self._state is not None:
            scope["state"] = self._state.copy()
        return scope


def _put(template: dict[str, Any], target: Target) -> dict[str, Any]:
    scope = template.copy()
    (
        scope["scheme"],
        scope["server"],
        scope["path"],
        scope["raw_path"],
        scope["query_string"],
    ) = target
    return scope


def build_lifespan_scope(*, state: dict[str, Any]) -> Scope:
    """Return the scope of the app's lifespan, which fills `state` itself and not a copy."""
    # https://asgi.readthedocs.io/en/latest/specs/lifespan.html#scope
    return {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": _LIFESPAN_SPECIFICATION},
        "state": state,
    }
