"""Find ports of the local machine that nobody uses, each only once."""

from __future__ import annotations

import socket


class FreePorts:
    """Gives port numbers that are free on the local addresses of every family asked for.

    Args:
        kind: `socket.SOCK_STREAM` for TCP, `socket.SOCK_DGRAM` for UDP.
    """

    def __init__(self, kind: socket.SocketKind) -> None:
        self._kind = kind
        self._given: set[int] = set()

    def __call__(self, family: socket.AddressFamily | None = None) -> int:
        """Return a port that is free for `family`; for IPv4 and IPv6 when none is given."""
        families = _families() if family is None else [family]
        while True:
            port = self._candidate(families)
            if port is not None and port not in self._given:
                self._given.add(port)
                return port

    def _candidate(self, families: list[socket.AddressFamily]) -> int | None:
        port = _bind(families[0], self._kind)
        for family in families[1:]:
            try:
                _bind(family, self._kind, port)
            except OSError:
                return None
        return port


_LOCAL = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def _bind(family: socket.AddressFamily, kind: socket.SocketKind, port: int = 0) -> int:
    """Take a port of the family's local address for a moment; the system chooses one for 0."""
    with socket.socket(family, kind) as probe:
        probe.bind((_LOCAL[family], port))
        number: int = probe.getsockname()[1]
        return number


def _families() -> list[socket.AddressFamily]:
    try:
        _bind(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError:  # not compiled in, or switched off on this machine
        return [socket.AF_INET]
    return [socket.AF_INET, socket.AF_INET6]
