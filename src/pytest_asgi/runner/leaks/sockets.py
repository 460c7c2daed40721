"""Sockets, connections, servers and processes that the user's own code opens.

A writer of asyncio's streams closes its connection when it is collected, on some versions of
Python; so the writer is looked at in place of what the loop keeps.
"""

from __future__ import annotations

import socket
import sys
from asyncio import StreamReaderProtocol, StreamWriter
from functools import wraps
from typing import TYPE_CHECKING, Any

from pytest_asgi.runner.leaks.beginnings import find_beginning
from pytest_asgi.runner.leaks.keepers import Held, Leak, keeper

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from pytest_asgi.asgi.stacks import Place

_CONNECT = (
    "create_connection",
    "create_datagram_endpoint",
    "create_unix_connection",
)
_LISTEN = ("create_server", "create_unix_server")
_SPAWN = ("subprocess_exec", "subprocess_shell")
_INIT = "__init__"


class SocketWatch:
    """Takes note of what is opened, by a loop or with `socket.socket`."""

    def __init__(self) -> None:
        self._constructors: dict[type, Callable[..., None]] = {
            socket.socket: socket.socket.__init__,
            StreamWriter: StreamWriter.__init__,
        }
        self._loop: AbstractEventLoop | None = None

    def install(self, loop: AbstractEventLoop) -> None:
        """Begin."""
        if self._loop is None:
            for kind, remember_made in (
                (socket.socket, _remember_socket),
                (StreamWriter, _remember_writer),
            ):
                construct = self._constructors[kind]
                setattr(kind, _INIT, _remembering(construct, remember_made))
        if self._loop is not loop:
            self._loop = loop
            for names, remember in (
                (_CONNECT, _remember_connection),
                (_LISTEN, _remember_server),
                (_SPAWN, _remember_process),
            ):
                for name in names:
                    setattr(loop, name, _followed_by(remember, getattr(loop, name)))

    def stop(self) -> None:
        """Leave the classes as they were."""
        for kind, construct in self._constructors.items():
            setattr(kind, _INIT, construct)


def _remembering(
    construct: Callable[..., None], remember: Callable[[Any, Place], Held]
) -> Callable[..., None]:
    @wraps(construct)
    def construct_and_remember(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        holder = keeper.get()
        place = holder and find_beginning(sys._getframe(1))  # noqa: SLF001 - documented in `sys`
        if holder and place:
            holder.held.append(remember(self, place))

    return construct_and_remember


def _followed_by(
    remember: Callable[[Any, tuple[Any, ...], Place], Held | None], function: Callable[..., Any]
) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        holder = keeper.get()
        place = holder and find_beginning(sys._getframe(1))  # noqa: SLF001 - documented in `sys`
        made = await function(*args, **kwargs)
        held = remember(made, args, place) if holder and place else None
        if holder and held:
            holder.held.append(held)
        return made

    return call


def _remember_socket(made: socket.socket, place: Place) -> Held:
    return Held(Leak("socket", ("socket",), place), made, lambda it: it.fileno() != -1)


def _remember_writer(made: StreamWriter, place: Place) -> Held:
    return Held(_connection(made, place), made, lambda it: not it.is_closing())


def _remember_connection(made: Any, _: tuple[Any, ...], place: Place) -> Held | None:
    transport, protocol = made
    if isinstance(protocol, StreamReaderProtocol):
        return None
    leak = _connection(transport, place)
    return Held(leak, transport, lambda it: not it.is_closing(), is_known_to_loop=True)


def _connection(made: Any, place: Place) -> Leak:
    address = made.get_extra_info("peername") or made.get_extra_info("sockname")
    return Leak("socket", (_address(address),), place, "a connection")


def _remember_server(made: Any, _: tuple[Any, ...], place: Place) -> Held:
    name = _address(made.sockets[0].getsockname()) if made.sockets else "server"
    leak = Leak("socket", (name,), place, "a server")
    return Held(leak, made, lambda it: it.is_serving(), is_known_to_loop=True)


def _remember_process(made: Any, args: tuple[Any, ...], place: Place) -> Held:
    transport = made[0]
    command = " ".join(map(str, args[1:]))
    leak = Leak("process", (command,), place, f"its number is {transport.get_pid()}")
    return Held(leak, transport, lambda it: it.get_returncode() is None, is_known_to_loop=True)


def _address(address: Any) -> str:
    if isinstance(address, tuple):
        host, port, *_ = address
        return f"{host}:{port}"
    return str(address)
