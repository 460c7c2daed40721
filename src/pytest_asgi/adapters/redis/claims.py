"""Which databases of a server that others use as well are ours, so that nobody else's is touched.

The last database of the server is the registry: a hash that says who has taken which number. Only
an empty database is taken, and only what was taken is ever emptied.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.redis.wire import Wire
from pytest_asgi.database.leftovers import is_running, this_machine
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Mapping

_REGISTRY = "pytest-asgi:databases"


class Claims:
    """The numbers that this process has taken on a server.

    Args:
        address: The server.

    Attributes:
        registry: The number of the database that says so.
    """

    def __init__(self, address: Mapping[str, Any]) -> None:
        self._address = address
        wire = Wire(address)
        try:
            count = wire.call("CONFIG", "GET", "databases")[b"databases"]
            self.registry = int(count) - 1
            wire.call("SELECT", self.registry)
            wire.call("CLIENT", "SETNAME", "pytest-asgi")
        except BaseException:
            wire.close()
            raise
        self._wire = wire
        self._free_what_was_left()

    def take(self) -> int:
        """Return the number of an empty database that is ours from now on.

        Raises:
            DatabaseError: None is empty and free.
        """
        # The first one is where people look for what they keep: taken when nothing else is left.
        for number in range(self.registry - 1, -1, -1):
            if not self._wire.call("HSETNX", _REGISTRY, number, f"{this_machine()}:{os.getpid()}"):
                continue
            wire = Wire(self._address, number)
            is_empty = wire.call("DBSIZE") == 0
            wire.close()
            if is_empty:
                return number
            self.give_back(number)
        raise _none_is_free(self.registry)

    def give_back(self, number: int) -> None:
        """Let others have a database, which is empty again."""
        self._wire.call("HDEL", _REGISTRY, number)

    def close(self) -> None:
        """End the connection."""
        self._wire.close()

    def _free_what_was_left(self) -> None:
        """Empty and free the databases of processes of this machine that were killed."""
        for number, owner in self._wire.call("HGETALL", _REGISTRY).items():
            machine, _, pid = owner.decode().rpartition(":")
            if machine == this_machine() and not is_running(int(pid)):
                wire = Wire(self._address, int(number))
                wire.call("FLUSHDB")
                wire.close()
                self.give_back(int(number))


def _none_is_free(count: int) -> DatabaseError:
    return DatabaseError(
        f"None of the {count} databases of the Redis server is empty and free.",
        why="Tests only use databases that hold nothing, so that nothing is lost.",
        fix="Empty one that you do not need, start the server with more (`--databases 64`), or let"
        " the tests start their own: name no server in `REDIS_URL` or `asgi_database`.",
    )
