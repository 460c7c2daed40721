"""The connection strings and arguments of clients: what they ask for, and ours instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode

from pytest_asgi.database.targets import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORT = 27017
_URI = re.compile(
    r"mongodb(?:\+srv)?://(?:(?P<user>[^/@]*)@)?(?P<hosts>[^/?]*)"
    r"(?:/(?P<name>[^?]*))?(?:\?(?P<options>.*))?",
    re.DOTALL,
)

# What belongs to the server that the app names: how to reach it, who one is there, what it can do.
_OF_THE_SERVER = re.compile(
    r"tls.*|ssl.*|auth.*|username|password|replicaset|directconnection|loadbalanced|srv.*"
    r"|compressors|zlibcompressionlevel|proxy.*|server_api|w|readpreference.*|maxstalenessseconds"
    r"|localthresholdms|heartbeatfrequencyms|serverselectiontimeoutms|connecttimeoutms",
    re.IGNORECASE,
)


def target_of(arguments: Mapping[str, Any]) -> Target:
    """Return what a client of the app asks for: a server, with all of its databases."""
    hosts: list[str] = []
    user = ""
    for text in _hosts_of(arguments):
        found = _URI.fullmatch(text)
        hosts += (found["hosts"] if found else text).split(",")
        user = user or unquote((found["user"] or "").partition(":")[0] if found else "")
    if len(hosts) > 1:
        return Target("mongodb", "", ",".join(sorted(hosts)), None, user)
    host, port = _split(hosts[0])
    return Target("mongodb", "", host, port or _own_port(arguments.get("port")), user)


def replace(arguments: Mapping[str, Any], uri: str, listener: Any) -> dict[str, Any]:
    """Return arguments for the same client at another address.

    Args:
        arguments: How the app made the client.
        uri: Where it is to go.
        listener: One more listener for its commands.
    """
    kept = {
        key: value
        for key, value in arguments.items()
        if key not in ("host", "port") and not _OF_THE_SERVER.fullmatch(key)
    }
    name, options = "", []
    for text in _hosts_of(arguments):
        if found := _URI.fullmatch(text):
            name = found["name"] or name
            options += parse_qsl(found["options"] or "", keep_blank_values=True)
    ours = _URI.fullmatch(uri)
    assert ours is not None
    options = [(key, value) for key, value in options if not _OF_THE_SERVER.fullmatch(key)]
    ours_options = parse_qsl(ours["options"] or "")
    # Options of ours come last: those of an address that the project has named are needed there.
    if ours["user"] and not any(key.lower() == "authsource" for key, _ in ours_options):
        ours_options.append(("authSource", unquote(ours["name"] or "") or "admin"))
    query = urlencode([*options, *ours_options])
    scheme, user = uri.partition("://")[0], f"{ours['user']}@" if ours["user"] else ""
    host = f"{scheme}://{user}{ours['hosts']}/{name}" + (f"?{query}" if query else "")
    listeners = [listener, *(arguments.get("event_listeners") or ())]
    return {**kept, "host": host, "port": None, "event_listeners": listeners}


def _hosts_of(arguments: Mapping[str, Any]) -> list[str]:
    host = arguments.get("host") or "localhost"
    return [host] if isinstance(host, str) else list(host)


def _split(host: str) -> tuple[str, int | None]:
    if host.endswith(".sock") or "%2F" in host.upper():
        return unquote(host), None
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        return host, None
    return name, _own_port(int(port))


def _own_port(port: int | None) -> int | None:
    return None if port == _PORT else port
