"""HTTP clients that are made and not closed: those of httpx2, httpx and aiohttp.

A client of httpx without an open connection has nothing to close; so one that talks to an app in
process, or to a mock, is not looked at. aiohttp wants each of its sessions closed.
"""

from __future__ import annotations

import sys
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from pytest_asgi.import_watch import ImportWatch
from pytest_asgi.runner.leaks.beginnings import find_beginning
from pytest_asgi.runner.leaks.keepers import Held, Leak, keeper

if TYPE_CHECKING:
    from collections.abc import Callable

_CLIENTS = {
    "httpx2": ("AsyncClient", "Client"),
    "httpx": ("AsyncClient", "Client"),
    "aiohttp": ("ClientSession",),
}
_INIT = "__init__"


class ClientWatch:
    """Takes note of each client that is made."""

    def __init__(self) -> None:
        self._watches: list[ImportWatch] = []
        self._constructors: list[tuple[type, Callable[..., None]]] = []

    def start(self) -> None:
        """Begin, with the libraries that are imported later too."""
        for module in _CLIENTS:
            watch = ImportWatch(module, partial(self._wrap_all, module))
            self._watches.append(watch)
            watch.start()

    def stop(self) -> None:
        """Leave the classes as they were."""
        for watch in self._watches:
            watch.stop()
        for kind, construct in self._constructors:
            setattr(kind, _INIT, construct)

    def _wrap_all(self, module: str) -> None:
        for name in _CLIENTS[module]:
            kind = getattr(sys.modules[module], name)
            construct = getattr(kind, _INIT)
            self._constructors.append((kind, construct))
            setattr(kind, _INIT, _remembering(construct, of=module))


def _remembering(construct: Callable[..., None], *, of: str) -> Callable[..., None]:
    @wraps(construct)
    def remember(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        holder = keeper.get()
        if holder is None or (of != "aiohttp" and not _pools(self)):
            return
        place = find_beginning(sys._getframe(1))
        if place is not None:
            leak = Leak("client", (f"{of}.{type(self).__qualname__}",), place)
            is_open = _is_open if of == "aiohttp" else _has_connections
            holder.held.append(Held(leak, self, is_open))

    return remember


def _has_connections(client: Any) -> bool:
    return not client.is_closed and any(pool.connections for pool in _pools(client))


def _pools(client: Any) -> list[Any]:
    transports = [client._transport, *client._mounts.values()]
    return [transport._pool for transport in transports if hasattr(transport, "_pool")]


def _is_open(session: Any) -> bool:
    return not session.closed
