"""Which sockets an answer is awaited on.

A connection of a pool is watched by the loop as long as it is open. What tells that an answer is
due is that something was sent and nothing has come back since; and since an answer may come in
parts, a connection has to be quiet for a moment. Who answers in the same process is a task of the
loop: then the sockets need only be quiet.
"""

from __future__ import annotations

import asyncio
import gc
from asyncio import selector_events
from dataclasses import dataclass
from selectors import EVENT_READ, EVENT_WRITE
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable, Iterator

_QUIET_SECONDS = 0.1
_GLANCE_SECONDS = 0.05

# asyncio has no public way to learn of what a transport sends.
_events: Any = selector_events
_Transport = _events._SelectorSocketTransport  # noqa: SLF001
_Datagrams = _events._SelectorDatagramTransport  # noqa: SLF001
_SENDING = ("write", "writelines")

# What the loop itself waits for, without anybody's asking: to be woken up, and new connections.
_OF_THE_LOOP = {"_read_from_self", "_accept_connection"}


@dataclass(slots=True)
class _Talk:
    """What has last been sent or received on a socket."""

    is_asked: bool
    time: float


class Sockets:
    """Looks at the sockets of a loop.

    Args:
        loop: The loop.
        selector: What it waits with.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, selector: selectors.BaseSelector) -> None:
        self._loop = loop
        self._selector = selector
        self._talks: dict[int, _Talk] = {}
        self._sending: dict[str, Callable[..., None]] = {}

    def begin(self) -> None:
        """Look from now on."""
        for name in _SENDING:
            function = vars(_Transport).get(name)  # the second one since Python 3.12
            if function is not None:
                self._sending[name] = function
                setattr(_Transport, name, self._noting(function))

    def end(self) -> None:
        """Look no more."""
        for name, function in self._sending.items():
            setattr(_Transport, name, function)
        self._talks.clear()

    def note(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        """Be told what the selector has found."""
        for key, mask in events:
            if mask & EVENT_READ:
                self._talks[key.fd] = _Talk(is_asked=False, time=monotonic())

    def find(self) -> tuple[str, float]:
        """Describe what an answer is awaited on, and for how long it must be quiet."""
        watched = list(self._watched())
        for closed in self._talks.keys() - {key.fd for key, _ in watched}:
            del self._talks[closed]
        served = {_name(each, "sockname") for _, each in watched if _is_server(each)}
        quiet_at = 0.0
        for key, transport in watched:
            if self._is_awaited(key, transport, served):
                return f"an answer on {_describe(transport)}", _GLANCE_SECONDS
            talk = self._talks.get(key.fd)
            if talk is not None:
                quiet_at = max(quiet_at, talk.time + _QUIET_SECONDS)
        left = max(quiet_at - monotonic(), 0.0)
        return ("a socket to be quiet" if left else "", left)

    def _watched(self) -> Iterator[tuple[selectors.SelectorKey, Any]]:
        """Yield the sockets that somebody uses, and by what: a transport if it is asyncio's."""
        for key in list(self._selector.get_map().values()):
            callbacks = [handle._callback for handle in key.data if handle is not None]  # noqa: SLF001
            if not any(getattr(each, "__name__", "") in _OF_THE_LOOP for each in callbacks):
                yield key, getattr(callbacks[0], "__self__", None)

    def _is_awaited(self, key: selectors.SelectorKey, transport: Any, served: set[object]) -> bool:
        if isinstance(transport, _Datagrams):
            return False  # nobody can tell whether an answer is due
        if not isinstance(transport, _Transport) or key.events & EVENT_WRITE:
            return True
        if _is_server(transport):
            return False
        if _has_waiter(transport.get_protocol()):
            return True
        talk = self._talks.get(key.fd)
        is_asked = talk is not None and talk.is_asked
        return is_asked and _name(transport, "peername") not in served

    def _noting(self, send: Callable[..., None]) -> Callable[..., None]:
        def send_and_note(transport: Any, *arguments: Any) -> None:
            send(transport, *arguments)
            if transport._loop is self._loop:  # noqa: SLF001
                self._talks[transport._sock_fd] = _Talk(is_asked=True, time=monotonic())  # noqa: SLF001

        return send_and_note


def _is_server(transport: Any) -> bool:
    """Tell whether a connection was accepted, not made."""
    return getattr(transport, "_server", None) is not None


def _name(transport: Any, which: str) -> object:
    return transport.get_extra_info(which)


def _has_waiter(protocol: object) -> bool:
    """Tell whether a query of asyncpg's is not over, although a part of its answer has come."""
    return type(protocol).__module__.startswith("asyncpg.") and any(
        isinstance(each, asyncio.Future) and not each.done() for each in gc.get_referents(protocol)
    )


def _describe(transport: Any) -> str:
    if not isinstance(transport, _Transport):
        return "a file that the loop watches"
    return f"a socket to {_name(transport, 'peername') or 'another process'}"
