"""One of the connections that share a transaction: what its client sends, and what it is told."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.postgres.transaction import statements, wire
from pytest_asgi.adapters.postgres.transaction.statements import read_statement, refuse_in_sql
from pytest_asgi.adapters.postgres.transaction.wire import Message, split_texts, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_asgi.adapters.postgres.transaction.sharing import Sharing
    from pytest_asgi.adapters.postgres.transaction.statements import Statement

_WAITING = (b"S", b"H")
_OF_COPY = (b"d", b"c", b"f")
_DONE = (b"C", b"I", b"s", b"G", b"E")
_ANSWERS: Mapping[bytes, tuple[bytes, ...]] = {
    b"P": (b"1", b"E"),
    b"B": (b"2", b"E"),
    b"C": (b"3", b"E"),
    b"D": (b"T", b"n", b"E"),
    b"E": _DONE,
}
_UNTOLD = frozenset({"user", "database", "replication", "application_name"})
_UNICODE = frozenset({"utf8", "utf-8", "unicode"})
_OPTION = re.compile(r"(?:-c\s*|--)([\w.]+)=((?:\\.|\S)*)\s*")
_DEALLOCATE = re.compile(r'\s*DEALLOCATE\s+(?:PREPARE\s+)?("?)([^\s;"]+)\1', re.IGNORECASE)


class Frontend:
    """One connection.

    Args:
        number: What its prepared statements are told apart from others' by.
        sharing: What it shares with others.
        client: Its messages.
        write: Sends bytes to its client.
    """

    def __init__(
        self,
        number: int,
        sharing: Sharing,
        client: wire.Reader,
        write: Callable[[bytes], Any],
    ) -> None:
        self.number = number
        self._sharing = sharing
        self._backend = sharing.backend
        self._client = client
        self._write = write
        self._out = bytearray()
        self._complete_at = 0
        self._startup: tuple[str, ...] = ()
        self._settings: list[str] = []
        self._pending: list[str] = []
        self._prepared: dict[str, Statement] = {}
        self._portals: dict[str, Statement] = {}
        self._has_cursors = False
        self._has_turn = False
        self._is_inside = False  # of a transaction of the client's
        self._has_savepoint = False
        self._has_failed = False  # and ignores what comes before the next Sync

    def serve(self, parameters: bytes) -> None:
        """Greet the client, and do what it says until it goes."""
        try:
            self._greet(parameters)
            while (message := self._client.read()) is not None and message.kind != b"X":
                self._handle(message)
        finally:
            self._leave()

    # --- its beginning and its end ---------------------------------------------------------------

    def _greet(self, parameters: bytes) -> None:
        names = parameters.decode().split("\0")
        self._startup = tuple(_read_startup(dict(zip(names[::2], names[1::2], strict=False))))
        self._tell(Message(b"R", struct.pack("!i", 0)))
        for each in self._backend.greeting():
            self._tell(each)
        self._tell(Message(b"K", struct.pack("!ii", self.number, self._sharing.secret)))
        self._tell(Message(b"Z", b"I"))
        self._flush()

    def _leave(self) -> None:
        try:
            if self._has_savepoint:
                if not self._has_turn:
                    self._take_turn()
                self._backend.undo()
        finally:
            self._is_inside = False
            self._end_turn()

    # --- its messages ----------------------------------------------------------------------------

    def _handle(self, message: Message) -> None:
        if message.kind in _OF_COPY:
            return  # it comes too late
        if not self._has_turn and not self._take_turn():
            self._fail_here(statements.ONE_AT_A_TIME)
        if message.kind not in _WAITING and not (self._has_savepoint or self._has_failed):
            self._begin_transaction()
        if message.kind == b"Q":
            if not self._has_failed:
                self._query(split_texts(message.body, 1)[0][0])
            self._end_exchange(is_simple=True)
        elif message.kind == b"S":
            self._backend.send_only(message)
            self._backend.answer((b"Z",), self._drop)
            self._end_exchange(is_simple=False)
        elif message.kind == b"H":
            self._flush()
        elif not self._has_failed:
            self._extended(message)

    def _query(self, text: str) -> None:
        statement = read_statement(text)
        if self._refuses(statement) or self._refuses_time(statement):
            return
        if statement.kind != "plain":
            self._control(statement)
            return
        self._backend.send_only(Message(b"Q", texts(text)))
        while self._backend.answer((b"Z", b"G"), self._pass_on).kind == b"G":
            self._copy_in()
        self._succeed(statement)

    def _extended(self, message: Message) -> None:
        handle: Mapping[bytes, Callable[[bytes], None]] = {
            b"P": self._parse,
            b"B": self._bind,
            b"D": self._describe,
            b"E": self._execute,
            b"C": self._close,
        }
        handle[message.kind](message.body)

    def _parse(self, body: bytes) -> None:
        (name, text), rest = split_texts(body, 2)
        statement = read_statement(text)
        if not name and name in self._prepared:
            self._ask(b"C", b"S" + texts(self._own(name)), self._drop)
        self._prepared[name] = statement
        if self._refuses(statement):
            return
        if statement.kind != "plain":
            self._tell(Message(b"1"))
            return
        self._ask(b"P", texts(self._own(name), text) + rest)

    def _bind(self, body: bytes) -> None:
        (portal, name), rest = split_texts(body, 2)
        statement = self._prepared.get(name)
        if statement is not None:
            self._portals[portal] = statement
            if self._refuses_time(statement):
                return
            if statement.kind != "plain":
                self._tell(Message(b"2"))
                return
        self._has_cursors = self._has_cursors or bool(portal)
        self._ask(b"B", texts(portal, self._own(name)) + rest)

    def _describe(self, body: bytes) -> None:
        name = split_texts(body[1:], 1)[0][0]
        is_portal = body[:1] == b"P"
        statement = (self._portals if is_portal else self._prepared).get(name)
        if statement is not None and statement.kind != "plain":
            if not is_portal:
                self._tell(Message(b"t", struct.pack("!h", 0)))
            self._tell(Message(b"n"))
            return
        self._ask(b"D", body if is_portal else b"S" + texts(self._own(name)))

    def _execute(self, body: bytes) -> None:
        portal = split_texts(body, 1)[0][0]
        statement = self._portals.get(portal)
        if statement is not None and statement.kind != "plain":
            self._control(statement)
            return
        if self._ask(b"E", body).kind == b"G":
            self._copy_in()
            self._backend.answer(_DONE, self._pass_on)
        if statement is not None:
            self._succeed(statement)

    def _close(self, body: bytes) -> None:
        name = split_texts(body[1:], 1)[0][0]
        if body[:1] == b"S":
            self._prepared.pop(name, None)
            self._ask(b"C", b"S" + texts(self._own(name)))
        else:
            self._portals.pop(name, None)
            self._ask(b"C", body)

    def _copy_in(self) -> None:
        self._flush()
        while (message := self._client.read()) is not None:
            if message.kind in (b"d", b"c", b"f"):
                self._backend.send_only(message)
            if message.kind in (b"c", b"f"):
                self._backend.send_only(Message(b"H"))
                return
        raise ConnectionError

    # --- transactions ----------------------------------------------------------------------------

    def _begin_transaction(self) -> None:
        error = self._backend.make_settings((*self._startup, *self._settings))
        if error is not None:
            self._pass_on(error)
            return
        self._sharing.begin_transaction()
        self._has_savepoint = True

    def _control(self, statement: Statement) -> None:
        if statement.kind == "begin":
            self._is_inside = True
            self._complete("BEGIN")
        elif statement.kind == "commit" and not self._backend.has_failed:
            self._is_inside = False
            error = self._release()
            if error is not None:
                self._pass_on(error)
            else:
                self._complete("COMMIT")
        elif statement.kind == "deallocate":
            self._deallocate(statement.text)
        else:
            self._is_inside = False
            self._undo()
            self._complete("ROLLBACK")

    def _deallocate(self, text: str) -> None:
        found = _DEALLOCATE.match(text)
        name = "" if found is None else found[2]
        is_all = name.upper() == "ALL" and found is not None and not found[1]
        for each in list(self._prepared) if is_all else [name]:
            self._prepared.pop(each, None)
            self._ask(b"C", b"S" + texts(self._own(each)), self._drop)
        self._complete("DEALLOCATE ALL" if is_all else "DEALLOCATE")

    def _end_exchange(self, *, is_simple: bool) -> None:
        """Commit what is in no transaction, and say that the next message may come."""
        if not self._is_inside and self._has_savepoint:
            if self._has_failed or self._backend.has_failed:
                self._undo()
            else:
                error = self._release()
                if error is not None:
                    if is_simple:  # else it was told before that it went well, as always
                        del self._out[self._complete_at :]
                    self._pass_on(error)
        self._has_failed = False
        self._tell(Message(b"Z", self._backend.status if self._is_inside else b"I"))
        self._end_turn()
        self._flush()

    def _release(self) -> Message | None:
        self._has_savepoint = False
        error = self._backend.release(closes_cursors=self._has_cursors)
        self._has_cursors = False
        if error is None:
            for text in self._pending:
                self._note_setting(text)
        self._pending.clear()
        return error

    def _undo(self) -> None:
        if self._has_savepoint:
            self._backend.undo()
        self._has_savepoint = False
        self._pending.clear()

    def _succeed(self, statement: Statement) -> None:
        if self._has_failed:
            return
        self._pending += statement.settings
        self._has_cursors = self._has_cursors or statement.declares_cursor
        if statement.changes_schema:
            self._backend.deferred = None
        if statement.makes_local_settings or statement.settings:
            self._backend.settings = None

    def _note_setting(self, text: str) -> None:
        if text.rsplit(maxsplit=1)[-1].upper() == "ALL":  # RESET ALL
            self._settings.clear()
        else:
            self._settings.append(text)

    # --- refusals --------------------------------------------------------------------------------

    def _refuses(self, statement: Statement) -> bool:
        if statement.refusal is None:
            return False
        self._refuse(statement.refusal, statement.text)
        return True

    def _refuses_time(self, statement: Statement) -> bool:
        if not statement.asks_time or self._sharing.may_ask_time():
            return False
        self._refuse(statements.TIME_STANDS_STILL, statement.text)
        return True

    def _refuse(self, reason: tuple[str, str], text: str) -> None:
        """Fail as a statement does, also in what PostgreSQL takes the transaction to be in."""
        error = self._backend.run(refuse_in_sql(self._sharing.refuse(reason, text)))
        if error is not None:
            self._pass_on(error)

    def _fail_here(self, reason: tuple[str, str]) -> None:
        """Fail without PostgreSQL, where somebody else's transaction is."""
        self._pass_on(wire.error("0A000", self._sharing.refuse(reason)))

    # --- its turn --------------------------------------------------------------------------------

    def _take_turn(self) -> bool:
        self._has_turn = True
        return self._sharing.take_turn(self.number)

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._sharing.end_turn(self.number, in_transaction=self._is_inside)

    # --- answers ---------------------------------------------------------------------------------

    def _ask(
        self, kind: bytes, body: bytes, pass_on: Callable[[Message], None] | None = None
    ) -> Message:
        self._backend.send(Message(kind, body))
        return self._backend.answer(_ANSWERS[kind], pass_on or self._pass_on)

    def _pass_on(self, message: Message) -> None:
        if message.kind == b"E":
            self._has_failed = True
            if wire.code_of(message.body) in statements.CODES_OF_REFUSALS:
                self._sharing.refuse(statements.NOT_IN_A_TRANSACTION)
        self._tell(message)

    def _drop(self, message: Message) -> None:
        pass  # nobody has asked for it

    def _complete(self, tag: str) -> None:
        self._tell(Message(b"C", texts(tag)))

    def _tell(self, message: Message) -> None:
        if message.kind == b"C":
            self._complete_at = len(self._out)
        self._out += message.encode()

    def _flush(self) -> None:
        out = bytes(self._out)
        self._out.clear()
        if out:
            self._write(out)

    def _own(self, name: str) -> str:
        """Return the name that a prepared statement has in PostgreSQL."""
        return f"{self.number}_{name}"


def _read_startup(parameters: dict[str, str]) -> list[str]:
    """Return statements that make the settings which a client begins with."""
    options = dict(_OPTION.findall(parameters.pop("options", "")))
    settings = parameters | {name: re.sub(r"\\(.)", r"\1", text) for name, text in options.items()}
    if settings.get("client_encoding", "").strip("'\"").lower() in _UNICODE:
        del settings["client_encoding"]
    return [
        "SET {} TO '{}'".format(name, value.replace("'", "''"))
        for name, value in settings.items()
        if name and name not in _UNTOLD
    ]
