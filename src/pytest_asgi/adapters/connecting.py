"""What the adapters of all redirected drivers do alike, before and after connecting."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_asgi import events
from pytest_asgi.asgi.stacks import Place
from pytest_asgi.database.redirect import is_connecting_directly
from pytest_asgi.database.statements import place_of_caller
from pytest_asgi.errors import AsgiError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pytest_asgi.database.connections import Connections, Handle, OpenConnection
    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.database.stores import Store
    from pytest_asgi.database.targets import Target


def find_store(redirect: Redirect, target: Target) -> Store | None:
    """Return where a connection to `target` goes instead; say which line asked if it must not."""
    with _naming_the_line():
        return redirect.store_for(target)


async def await_store(redirect: Redirect, target: Target) -> Store | None:
    """Return what `find_store` does, and let the loop go on while a store is being opened."""
    with _naming_the_line():
        return await redirect.await_store_for(target)


def register(
    redirect: Redirect,
    connection: Any,
    handle: Handle,
    *,
    target: Target,
    store: Store | None,
    address: Mapping[str, Any] | None,
    loop: Any,
) -> OpenConnection | None:
    """Remember a connection that the app has opened; one of our own is none of the app's.

    Args:
        redirect: Was asked for `store`.
        connection: The driver's object.
        handle: Knows what to do with it.
        target: What the app asked for.
        store: What it leads to instead.
        address: Where that was when the connection began; it may have moved meanwhile.
        loop: The event loop that it is bound to, if it is to one.
    """
    if is_connecting_directly():
        redirect.connections.add_own(connection)
        return None
    place = place_of_caller()
    opened = redirect.connections.add(
        connection, handle, target=target, store=store, address=address, place=place, loop=loop
    )
    if events.is_anyone_listening():
        events.emit(
            events.ConnectionOpened(
                connection=opened.number,
                driver=handle.driver,
                asked=str(target),
                is_private=store is not None,
                place=place,
            )
        )
    return opened


async def close_in_this_loop(connections: Connections) -> None:
    """Close what is bound to the running loop, down to the sockets."""
    loop = asyncio.get_running_loop()
    closing = [each for each in connections.close_pools_of(loop) if each is not None]
    # The tasks of a pool may have been cancelled before, with all that ran in the background.
    await asyncio.gather(*closing, return_exceptions=True)
    connections.close_of(loop)
    for _ in range(3):  # what closes a transport is called by the loop, one thing after the other
        await asyncio.sleep(0)


@contextmanager
def _naming_the_line() -> Generator[None]:
    # The line is looked for here: a store is opened in another thread, where it is not.
    try:
        yield
    except AsgiError as error:
        place = place_of_caller()
        note = "" if place is None else f"The connection is opened at {Place(*place)}"
        if note and note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise
