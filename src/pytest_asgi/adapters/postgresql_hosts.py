"""The servers that a connection to PostgreSQL may name: one, or several to be tried in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asgi.database.targets import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

_PORT = 5432


def target_of_hosts(hosts: Sequence[tuple[str, int | None]], name: str, user: str) -> Target:
    """Return the target of a connection to one of `hosts`.

    Several are one host with commas, so that a pattern has to allow all of them.
    """
    if len(hosts) == 1:
        host, port = hosts[0]
        return Target("postgresql", name, host, None if port == _PORT else port, user)
    several = ",".join(_text(host, port) for host, port in hosts)
    return Target("postgresql", name, several, user=user)


def _text(host: str, port: int | None) -> str:
    return host if port in (None, _PORT) else f"{host}:{port}"
