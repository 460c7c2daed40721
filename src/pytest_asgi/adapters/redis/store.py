"""What stands in for one numbered database of a Redis server.

The server tells which keys anybody changes, so a test pays for what it writes to. What a key was
is known before: the database was empty when the store was opened, and after each change it is
read again.
"""

from __future__ import annotations

import difflib
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_asgi.adapters.redis import values
from pytest_asgi.adapters.redis.wire import Wire, WireError
from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.errors import DatabaseError, IsolationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_asgi.database.changes import Change
    from pytest_asgi.database.stores import Row
    from pytest_asgi.database.targets import Target

_COLUMNS = ("key", "value", "ttl")
_SAME_MOMENT = 100
"""Milliseconds by which two readings of the moment that a key expires may differ."""


class _Entry(NamedTuple):
    """A key.

    Attributes:
        dump: Its value, as the server packs it.
        expires: When it expires, in milliseconds of the server's clock; `None` for never.
    """

    dump: bytes
    expires: int | None

    def is_like(self, other: _Entry | None) -> bool:
        """Tell whether the key has not been changed from one to the other."""
        return (
            other is not None
            and self.dump == other.dump
            and _is_same_moment(self.expires, other.expires)
        )


@dataclass(eq=False)
class _Mark:
    """A moment.

    Attributes:
        lifetimes: How many milliseconds each key that expires had left.
        before: What keys were that have changed since, up to the next mark; `None`: not there.
    """

    lifetimes: dict[bytes, int]
    before: dict[bytes, _Entry | None] = field(default_factory=dict)


class RedisStore:
    """One numbered database.

    Args:
        target: What it stands in for.
        address: The server: `unix_socket_path`, or `host` and `port`.
        number: The database's number there.
        scratch: The number of a database that nobody uses.
        open_another: Opens an empty store for the same target.
        when_closed: Called last.
    """

    def __init__(
        self,
        target: Target,
        *,
        address: Mapping[str, Any],
        number: int,
        scratch: int,
        open_another: Callable[[], RedisStore],
        when_closed: Callable[[], None],
    ) -> None:
        self.target = target
        self.is_closed = False
        self._server = dict(address)
        self._number = number
        self._scratch = scratch
        self._open_another = open_another
        self._when_closed = when_closed
        self._before_closing: list[Callable[[], None]] = []
        self._wire = Wire(address, number, is_told=True)
        self._entries: dict[bytes, _Entry] = {}
        self._marks: list[_Mark] = []
        self._lock = threading.RLock()

    @property
    def address(self) -> Mapping[str, Any]:
        """The server, and `db`, the number there."""
        return {**self._server, "db": self._number}

    def before_closing(self, callback: Callable[[], None]) -> None:
        """Call `callback` while the database is still there."""
        self._before_closing.append(callback)

    # --- marks -----------------------------------------------------------------------------------

    def mark(self) -> _Mark:
        """Return this moment."""
        with self._lock:
            self._follow()
            expiring = {key: entry.expires for key, entry in self._entries.items()}
            now = self._now() if any(expiring.values()) else 0
            lifetimes = {key: max(at - now, 1) for key, at in expiring.items() if at is not None}
            self._marks.append(_Mark(lifetimes))
            return self._marks[-1]

    def restore(self, mark: _Mark) -> None:
        """Put every key back to what it was at `mark`, with the time to live it had then.

        Raises:
            IsolationError: The server refuses it.
        """
        with self._lock:
            self._follow()
            before = self._before(mark)
            now = self._now() if mark.lifetimes else 0
            commands: list[tuple[bytes | str | int, ...]] = []
            for key, entry in before.items():
                if entry is not None:
                    lifetime = mark.lifetimes.get(key, 0)
                    commands.append(("RESTORE", key, lifetime, entry.dump, "REPLACE"))
                    expires = now + lifetime if lifetime else None
                    self._entries[key] = entry._replace(expires=expires)
                else:
                    commands.append(("DEL", key))
                    self._entries.pop(key, None)
            for key in mark.lifetimes.keys() - before.keys():
                commands.append(("PEXPIRE", key, mark.lifetimes[key]))
                self._entries[key] = self._entries[key]._replace(expires=now + mark.lifetimes[key])
            try:
                self._wire.call_all(commands)
            except (WireError, OSError) as failure:
                raise _not_restored(failure) from failure
            mark.before.clear()
            del self._marks[self._marks.index(mark) + 1 :]

    def fork(self) -> RedisStore:
        """Return a new store for the same target that holds what this one holds now."""
        with self._lock:
            self._follow()
            another = self._open_another()
            now = self._now() if self._entries else 0
            wire = Wire(another.address, another.address["db"])
            wire.call_all(
                ("RESTORE", key, max(entry.expires - now, 1) if entry.expires else 0, entry.dump)
                for key, entry in self._entries.items()
            )
            wire.close()
            return another

    def changes(self, since: _Mark) -> dict[str, list[Change]]:
        """Return the net effect since a mark: by kind of key, in the order of writing."""
        with self._lock:
            self._follow()
            found: dict[str, list[Change]] = {}
            for key, old in self._before(since).items():
                for kind, change in self._change(key, old, since):
                    found.setdefault(kind, []).append(change)
            return found

    def _change(
        self, key: bytes, old: _Entry | None, since: _Mark
    ) -> Iterator[tuple[str, Change]]:
        before, now = self._read_packed(key, old, since), self._read(key)
        entry = self._entries.get(key)
        if before is not None and now is not None and before[0] == now[0]:
            moments = old and old.expires, entry and entry.expires
            if before[1]["value"] != now[1]["value"] or not _is_same_moment(*moments):
                yield now[0], Updated(before[1], now[1])
            return
        if before is not None:
            yield before[0], Deleted(before[1])
        if now is not None:
            yield now[0], Inserted(now[1])

    def _before(self, since: _Mark) -> dict[bytes, _Entry | None]:
        """Return what each key was at a mark that may have changed since."""
        before: dict[bytes, _Entry | None] = {}
        for mark in self._marks[self._marks.index(since) :]:
            before = mark.before | before
        return before

    def _follow(self) -> None:
        """Read the keys that were changed, and keep what they were."""
        try:
            changed, is_flushed = self._wire.changed_keys()
            if is_flushed:
                changed = list(dict.fromkeys([*self._entries, *self._all_keys(), *changed]))
            found = self._read_entries(changed)
        except (WireError, OSError) as failure:
            raise _not_restored(failure) from failure
        for key in changed:
            old, new = self._entries.get(key), found.get(key)
            if old is new or (old is not None and old.is_like(new)):
                continue
            if self._marks:
                self._marks[-1].before.setdefault(key, old)
            if new is None:
                del self._entries[key]
            else:
                self._entries[key] = new

    def _read_entries(self, keys: list[bytes]) -> dict[bytes, _Entry]:
        if not keys:
            return {}
        now = self._now()
        answers = self._wire.call_all(
            [command for key in keys for command in (("DUMP", key), ("PTTL", key))]
        )
        read = zip(keys, answers[::2], answers[1::2], strict=True)
        return {
            key: _Entry(dump, now + lifetime if lifetime >= 0 else None)
            for key, dump, lifetime in read
            if dump is not None
        }

    def _now(self) -> int:
        seconds, microseconds = self._wire.call("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    # --- looking at it ---------------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Return the kinds of keys there are: string, hash, list, set, zset, stream."""
        with self._lock:
            kinds = self._wire.call_all([("TYPE", key) for key in self._all_keys()])
            return sorted({kind.decode() for kind in kinds} - {"none"})

    def select(self, table: str, where: Row, *, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the keys of a kind as rows: `key`, `value`, and `ttl` in seconds if it expires.

        Raises:
            DatabaseError: There is no such kind of key, or no such column.
        """
        _check(table, values.KINDS, "There is no kind of key")
        for column in where:
            _check(column, _COLUMNS, "A key has no column")
        with self._lock:
            named = where.get("key")
            keys = sorted(self._all_keys()) if named is None else [values.encode(named)]
            rows = []
            for key in keys:
                found = self._read(key)
                if found is None or found[0] != table:
                    continue
                if all(found[1].get(column) == value for column, value in where.items()):
                    rows.append(found[1])
            return rows[:limit]

    def count(self, table: str, where: Row) -> int:
        """Return how many keys `select` would find."""
        return len(self.select(table, where))

    def close(self) -> None:
        """Remove every key."""
        if self.is_closed:
            return
        self.is_closed = True
        while self._before_closing:
            self._before_closing.pop()()
        with suppress(WireError, OSError):  # A server that has gone keeps nothing.
            self._wire.call("FLUSHDB")
        self._wire.close()
        self._when_closed()

    def _all_keys(self) -> list[bytes]:
        keys: dict[bytes, None] = {}
        cursor = b"0"
        while True:
            cursor, found = self._wire.call("SCAN", cursor, "COUNT", 1000)
            keys |= dict.fromkeys(found)
            if cursor == b"0":
                return list(keys)

    def _read(self, key: bytes) -> tuple[str, dict[str, Any]] | None:
        """Return the kind and the row of a key that is there now."""
        return values.read(self._wire, key, self._wire.call("PTTL", key))

    def _read_packed(
        self, key: bytes, entry: _Entry | None, since: _Mark
    ) -> tuple[str, dict[str, Any]] | None:
        """Return the kind and the row of a key that was there at a mark."""
        if entry is None:
            return None
        wire = Wire(self._server, self._scratch)
        try:
            wire.call("RESTORE", key, 0, entry.dump, "REPLACE")
            row = values.read(wire, key, since.lifetimes.get(key, -1))
            wire.call("DEL", key)
        finally:
            wire.close()
        return row


def _is_same_moment(one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _SAME_MOMENT


def _check(name: str, known: tuple[str, ...], what: str) -> None:
    if name in known:
        return
    similar = difflib.get_close_matches(name, known, n=1)
    raise DatabaseError(
        f"{what} {name!r}.",
        why=f"There are {', '.join(known)}."
        + (f" Did you mean {similar[0]!r}?" if similar else ""),
        fix="Name one of them; a key's own name is the column `key`.",
    )


def _not_restored(failure: Exception) -> IsolationError:
    return IsolationError(
        "Redis cannot be put back to what it was before the test.",
        why=f"The server says: {failure}",
        fix="If the test has ended the server or changed its configuration, leave that out;"
        " databases are new in the next run.",
    )
