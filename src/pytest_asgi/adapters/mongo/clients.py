"""Where the clients of PyMongo go: asked before they open a socket, and again if that has changed.

A client connects with its first operation, so one that a module made when it was imported, long
before the first test, is still free to go elsewhere: it is made anew, in place, with an address
of ours and without what belonged to its own (TLS, credentials, replica set). What it hands out
keeps working, for databases and collections only refer to their client.

The names used here have been in PyMongo since 4.9: `_get_topology` and `_init_kwargs` of clients,
`command` of connections, and the database that a message of a cursor or a bulk write is for.
"""

from __future__ import annotations

import gc
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pymongo.asynchronous.mongo_client
import pymongo.asynchronous.pool
import pymongo.message
import pymongo.synchronous.mongo_client
import pymongo.synchronous.pool
from pymongo.monitoring import CommandListener

from pytest_asgi.adapters.mongo import addresses
from pytest_asgi.adapters.mongo.commands import rename_databases
from pytest_asgi.adapters.mongo.store import MongoStore
from pytest_asgi.adapters.replacements import Replacements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo.monitoring import (
        CommandFailedEvent,
        CommandStartedEvent,
        CommandSucceededEvent,
    )

    from pytest_asgi.database.redirect import Redirect
    from pytest_asgi.database.targets import Target

Client = pymongo.synchronous.mongo_client.MongoClient
AsyncClient = pymongo.asynchronous.mongo_client.AsyncMongoClient

_PLACE = "_pytest_asgi_place"


def install(redirect: Redirect) -> Callable[[], None]:
    """Let the clients of PyMongo, and so Motor's and Beanie's, go where `redirect` says.

    Returns:
        What puts PyMongo back.
    """
    clients = Clients(redirect)
    clients.install()
    return clients.uninstall


def targets_of_clients() -> Iterator[Target]:
    """Yield the servers of the clients that the app has made, also before they connect."""
    for kind in (Client, AsyncClient):
        for thing in gc.get_referrers(kind):
            if type(thing) is kind and not thing._closed:
                yield _target_of(thing)


class OwnClient(Client[Any]):
    """A client for our own administration: it goes where it is told to."""


class _Place(NamedTuple):
    """Where a client is.

    Attributes:
        target: What it asked for.
        arguments: How the app made it.
        store: What it is connected to instead, if it is.
        was_redirecting: Whether connections were redirected at that time.
    """

    target: Target
    arguments: dict[str, Any]
    store: MongoStore | None
    was_redirecting: bool


class Clients:
    """Every client there is in this process.

    Args:
        redirect: Decides where each goes.
    """

    def __init__(self, redirect: Redirect) -> None:
        self._redirect = redirect
        self._replacements = Replacements()
        self._moving = threading.RLock()

    def install(self) -> None:
        """Begin to decide."""
        replace = self._replacements.wrap
        for client in (Client, AsyncClient):
            replace(client, "__init__", _connect_later)
            replace(client, "close", self._close_in_place)
        replace(Client, "_get_topology", self._settle_first)
        replace(AsyncClient, "_get_topology", self._settle_first_async)
        replace(pymongo.synchronous.pool.Connection, "command", self._translate)
        replace(pymongo.asynchronous.pool.AsyncConnection, "command", self._translate_async)
        for message in (pymongo.message._Query, pymongo.message._GetMore):
            replace(message, "use_command", self._rename_in_message)
        bulk = pymongo.message._BulkWriteContextBase
        replace(bulk, "__init__", self._rename_in_bulk)

    def uninstall(self) -> None:
        """Leave PyMongo as it was."""
        self._replacements.undo()

    # --- where a client goes ---------------------------------------------------------------------

    def _settle_first(self, original: Any) -> Any:
        def _get_topology(client: Client[Any]) -> Any:
            if not client._closed and not self._is_settled(client):
                target = _target_of(client)
                self._move(client, target, self._redirect.store_for(target))
            return original(client)

        return _get_topology

    def _settle_first_async(self, original: Any) -> Any:
        async def _get_topology(client: AsyncClient[Any]) -> Any:
            if not client._closed and not self._is_settled(client):
                target = _target_of(client)
                store = await self._redirect.await_store_for(target)
                # Two tasks may begin to use a client at once, so from here on nothing is awaited.
                if not self._is_settled(client):
                    self._leave(client)
                    self._make_anew(client, target, store)
            return await original(client)

        return _get_topology

    def _close_in_place(self, original: Any) -> Any:
        def close(client: Any) -> Any:
            self._stay(client)
            return original(client)

        return close

    def _stay(self, client: Any) -> None:
        """Let a client go nowhere else: to close it is one more operation, and the last one."""
        place: _Place | None = vars(client).get(_PLACE)
        if place is not None:
            store = None if place.store is None or place.store.is_closed else place.store
            vars(client)[_PLACE] = place._replace(
                store=store, was_redirecting=self._redirect.is_on
            )

    def _is_settled(self, client: Any) -> bool:
        place: _Place | None = vars(client).get(_PLACE)
        if place is None:
            return isinstance(client, OwnClient)
        is_gone = place.store is not None and place.store.is_closed
        return place.was_redirecting == self._redirect.is_on and not is_gone

    def _move(self, client: Client[Any], target: Target, store: Any) -> None:
        with self._moving:
            if self._is_settled(client):
                return
            self._leave(client)
            self._make_anew(client, target, store)

    def _leave(self, client: Any) -> None:
        """End all that a client does where it is; it is as if the app had just made it."""
        if not _is_open(client):
            return
        before = object.__new__(type(client))
        vars(before).update(vars(client))
        self._stay(before)
        _init(client, client._init_kwargs)
        # Sessions end with the connections; to tell the server takes one that still answers.
        before._topology.pop_all_sessions()
        if isinstance(client, Client):
            before.close()
        else:
            _close_async(before)

    def _return(self, known: weakref.ref[Any]) -> None:
        """Let a client be what the app made, if it is still there."""
        client: Any = known()
        if client is not None and not client._closed and _PLACE in vars(client):
            self._leave(client)
            place: _Place = vars(client).pop(_PLACE)
            _init(client, place.arguments)

    def _make_anew(self, client: Any, target: Target, store: Any) -> None:
        place: _Place | None = vars(client).get(_PLACE)
        arguments = client._init_kwargs if place is None else place.arguments
        if store is not None:
            store.follow(client.codec_options, client._default_database_name)
            listener = _Listener(self._redirect, target)
            moved = addresses.replace(arguments, store.address["uri"], listener)
            _init(client, moved)
            store.before_closing(partial(self._return, weakref.ref(client)))
        elif place is not None and place.store is not None:
            _init(client, arguments)
        vars(client)[_PLACE] = _Place(target, arguments, store, self._redirect.is_on)

    # --- what the app's databases are called on the server ---------------------------------------

    def _translate(self, original: Any) -> Any:
        def command(connection: Any, dbname: str, spec: Any, *args: Any, **kwargs: Any) -> Any:
            store = self._store_now(kwargs.get("client"))
            if store is None:
                return original(connection, dbname, spec, *args, **kwargs)
            spec = rename_databases(_spell(spec), store.names.on_server)
            name = store.names.on_server(dbname)
            return _only_ours(original(connection, name, spec, *args, **kwargs), store)

        return command

    def _translate_async(self, original: Any) -> Any:
        async def command(
            connection: Any, dbname: str, spec: Any, *args: Any, **kwargs: Any
        ) -> Any:
            store = self._store_now(kwargs.get("client"))
            if store is None:
                return await original(connection, dbname, spec, *args, **kwargs)
            spec = rename_databases(_spell(spec), store.names.on_server)
            name = store.names.on_server(dbname)
            return _only_ours(await original(connection, name, spec, *args, **kwargs), store)

        return command

    def _rename_in_message(self, original: Any) -> Any:
        # Called once it is known where the message goes, and before it is written.
        def use_command(message: Any, *args: Any, **kwargs: Any) -> Any:
            store = self._store_now(message.client)
            if store is not None:
                message.db = store.names.on_server(message.db)
            return original(message, *args, **kwargs)

        return use_command

    def _rename_in_bulk(self, original: Any) -> Any:
        def __init__(bulk: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(bulk, *args, **kwargs)
            for listener in bulk.listeners.event_listeners():
                if isinstance(listener, _Listener) and (store := listener.store()) is not None:
                    bulk.db_name = store.names.on_server(bulk.db_name)

        return __init__

    def _store_now(self, client: Any) -> MongoStore | None:
        """Return what a command of a client goes to, in the context of the code that sends it."""
        place: _Place | None = None if client is None else vars(client).get(_PLACE)
        if place is None or place.store is None:
            return None
        return _store_for(self._redirect, place.target) or place.store


class _Listener(CommandListener):
    """Tells the store of each command before it is sent."""

    def __init__(self, redirect: Redirect, target: Target) -> None:
        self._redirect = redirect
        self._target = target

    def store(self) -> MongoStore | None:
        """Return what a command goes to that is sent now, here."""
        return _store_for(self._redirect, self._target)

    def started(self, event: CommandStartedEvent) -> None:
        """Be told that a command is about to be sent."""
        if (store := self.store()) is not None:
            store.notice(event.database_name, event.command_name, event.command)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Be told that a command has been answered."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Be told that a command has failed."""


def _init(client: Any, arguments: dict[str, Any]) -> None:
    """Make a client anew, in place."""
    client.__init__(**arguments)


def _close_async(client: AsyncClient[Any]) -> None:
    loop = client._loop
    if loop is None or loop.is_closed():
        client._closed = True
    elif loop.is_running():
        task = loop.create_task(client.close())
        task.add_done_callback(lambda _: client)  # so that it lives until then
    else:
        loop.run_until_complete(client.close())


def _connect_later(original: Any) -> Any:
    """Let a client connect with its first operation only: then it is known where to."""

    def __init__(client: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        if isinstance(client, OwnClient):
            original(client, *args, **kwargs)
            return
        names = ("host", "port", "document_class", "tz_aware", "connect", "type_registry")
        named = dict(zip(names, args, strict=False))
        original(client, **{**kwargs, **named, "connect": False})

    return __init__


def _store_for(redirect: Redirect, target: Target) -> MongoStore | None:
    store = redirect.store_for(target)
    return store if isinstance(store, MongoStore) else None


def _target_of(client: Any) -> Target:
    place: _Place | None = vars(client).get(_PLACE)
    return addresses.target_of(client._init_kwargs) if place is None else place.target


def _is_open(client: Any) -> bool:
    return client._opened and not client._closed


def _spell(spec: Any) -> Any:
    """Spell a command as every server understands it."""
    name = next(iter(spec))
    if name == "buildinfo":
        return {"buildInfo" if key == name else key: value for key, value in spec.items()}
    if name == "create" and isinstance(spec.get("size"), float):
        return {**spec, "size": int(spec["size"])}
    return spec


def _only_ours(reply: Any, store: MongoStore) -> Any:
    """Leave out the databases of others, and call ours as the app does."""
    if not isinstance(reply, dict) or "databases" not in reply:
        return reply
    ours = [
        {**each, "name": store.names.in_app(each["name"])}
        for each in reply["databases"]
        if store.names.are_of(each["name"])
    ]
    return {**reply, "databases": ours}
