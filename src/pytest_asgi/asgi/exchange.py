"""One call of the app with a request, and its response kept whole.

The app is awaited where the caller is: same task, same context. `streaming.py` has the exchange
whose response is read while the app sends it. Whether an exception of the app is raised or
answered is the caller's business.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from pytest_asgi import events
from pytest_asgi.asgi.disconnects import ClientDisconnectedError, is_only_disconnect
from pytest_asgi.asgi.rules import NO_LENGTH, HTTPRules, State, find_plain_length, rules_mode
from pytest_asgi.asgi.tasks import Bell, let_others_run
from pytest_asgi.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pytest_asgi.asgi.rules import Mode
    from pytest_asgi.asgi.types import ASGIApp, Message, RawHeaders, Scope

# Numbers tell exchanges apart on a tape; nothing depends on where they begin.
next_number = count(1).__next__

# How many bytes of a response an app may send before others have a turn.
_LONG_BREATH = 1_048_576

# Members of an enum are dear to look up.
_STARTED = State.RESPONSE_STARTED
_COMPLETE = State.RESPONSE_COMPLETE


class Exchange:
    """What every exchange does: feed `receive`, check `send`, emit events.

    Args:
        scope: The scope of the request.
        body: The body of the request, whole or as chunks to be read while the app asks for them.
        rules: What to do about broken rules; `None` for what the test's settings say.

    Attributes:
        is_complete: Whether the app has sent the last message of its response.
        status: The status of the response; `None` until the app starts one.
        headers: The headers of the response, as the app sent them.
        extensions: What the app sent beyond status, headers and body, by message type: the
            trailers, the early hints, the debug information. If anybody listens, the number of
            the exchange too.
        is_told: Whether the app has learnt that its client went away.
        body_error: What the generator of the request's body raised.
    """

    # Defaults of the class, for what few exchanges need. What all of them look at is set for each
    # one instead: Python finds that much faster.
    extensions: dict[str, Any] = {}  # noqa: RUF012 - replaced before it is changed
    is_told = False
    _is_body_asked_for = False
    _size = 0
    _pause_at = _LONG_BREATH
    _number = 0

    def __init__(
        self, scope: Scope, body: bytes | AsyncIterator[bytes], rules: Mode | None = None
    ) -> None:
        self.scope = scope
        self.is_complete = False
        self.status: int | None = None
        self.headers: RawHeaders = []
        self.body_error: Exception | None = None
        self._body = body
        self._mode = rules_mode.get() if rules is None else rules
        self._listen = events.listener.get()
        self._rules: HTTPRules | None = None
        self._error: ProtocolError | None = None
        self._bell: Bell | None = None
        self._is_body_read = False
        self._is_over = False
        self._has_left = False

    @property
    def has_whole_body(self) -> bool:
        """Whether the body of the response is complete, though its trailers may be owed."""
        return self.is_complete or self._call_referee().state is State.TRAILERS_AWAITED

    def describe(self) -> str:
        """Return which request it is, and how far its app has come."""
        request = f"{self.scope['method']} {self.scope['path']}"
        if self.status is None:
            return f"{request}, no response yet"
        if not self.is_complete:
            return f"{request}, answered with {self.status}, the body is not complete"
        return f"{request}, answered with {self.status}, and the app has not returned"

    async def run(self, app: ASGIApp) -> None:
        """Call the app and return when it does, background tasks included.

        Raises:
            ProtocolError: The app broke a rule, even if it caught the error where it arose.
            Exception: Whatever the app lets escape, as it is; but what the generator of the
                request's body raised comes first.
        """
        __tracebackhide__ = True
        outer = None
        if self._listen is not None:
            outer = events.exchange.get()
            self._report_request()
        try:
            await app(self.scope, self._receive, self._send)
            if not self.is_complete or self._error is not None or self.body_error is not None:
                self._require_correctness()
        except Exception as error:
            if self.body_error is not None:
                self._raise_body_error(error)
            if isinstance(error, ProtocolError):
                error.add_note(f"While answering {self.scope['method']} {self.scope['path']}")
            if self._listen is not None:
                self._listen(events.AppRaised(exchange=self._number, exception=error))
            raise
        finally:
            if self._listen is not None:
                events.exchange.set(outer)  # a token is no good where a coroutine is thrown away
            if not self._is_over:
                self._end()
            if self._body.__class__ is not bytes and not self._is_body_read:
                await self._close_body()

    def _require_correctness(self) -> None:
        __tracebackhide__ = True
        error = self.body_error or self._error
        if error is not None:
            raise error
        self._call_referee().check_return()

    def _raise_body_error(self, consequence: Exception) -> NoReturn:
        """Raise what the body's generator raised, beside what the app made of it."""
        __tracebackhide__ = True
        assert self.body_error is not None
        if consequence is self.body_error or is_only_disconnect(consequence):
            raise self.body_error from None
        raise self.body_error from consequence

    def leave(self) -> None:
        """Let the client go away: `receive` gives the disconnect and `send` raises from now on."""
        self._has_left = True
        self._call_referee().disconnect()
        self._end()

    # --- what the app calls --------------------------------------------------------------------

    async def _receive(self) -> Message:
        """Give the app the body of the request, then the disconnect when all is said."""
        if not (self._is_body_read or self._has_left):
            if self._body.__class__ is bytes:
                self._is_body_read = True
                return {"type": "http.request", "body": self._body, "more_body": False}
            message = await self._read_body()
            if message is not None:
                return message
        # A server that has read the request has nothing to tell until the client leaves, and ours
        # stays until it has its response.
        # https://asgi.readthedocs.io/en/latest/specs/www.html#disconnect-receive-event-http
        await self._wait_until(lambda: self._is_over)
        self._note_told()
        return {"type": "http.disconnect"}

    async def _read_body(self) -> Message | None:
        """Return the next part of the body, and `None` if there is none for this caller."""
        # Two tasks of an app may ask at the same time: one for the body, one for a disconnect.
        await self._wait_until(lambda: not self._is_body_asked_for or self._is_over)
        if self._is_body_read or self._is_over:
            return None
        self._is_body_asked_for = True
        try:
            chunk = await self._next_chunk()
        except Exception as error:  # noqa: BLE001 - the test's own, raised when the app returns
            self.body_error = error
            self.leave()
            return None
        finally:
            self._is_body_asked_for = False
            self.ring()
        if self._has_left:
            return None
        self._is_body_read = chunk is None
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def _next_chunk(self) -> bytes | None:
        """Return the next chunk of the body; `None` after the last one."""
        chunk: bytes | None = b""
        while chunk == b"":  # It would end a body that is sent in chunks, so no client sends it.
            chunk = await anext(self._chunks, None)
        return chunk

    @property
    def _chunks(self) -> AsyncIterator[bytes]:
        assert not isinstance(self._body, bytes)
        return self._body

    async def _close_body(self) -> None:
        """Close the generator of a body that the app has not read to its end."""
        close = getattr(self._body, "aclose", None)
        # A task that the app left behind may be reading it.
        if close is not None and not self._is_body_asked_for:
            await close()

    async def _send(self, message: Message) -> None:
        """Take one message from the app."""
        __tracebackhide__ = True
        if self._has_left:
            self._miss_client(message)
        rules = self._rules or self._call_referee()
        try:
            counts = rules.check(message)
        except ProtocolError as error:
            self._error = self._error or error
            raise
        if counts:
            self._handlers[message["type"]](self, message)
            if rules.state is _COMPLETE:
                self.is_complete = True
                self._end()
                if self._listen is not None:
                    self._report_completion()
            elif self._size > self._pause_at:
                # An app that never waits and never ends could not be cancelled otherwise.
                self._pause_at = self._size + _LONG_BREATH
                await let_others_run()

    def _call_referee(self) -> HTTPRules:
        """Return who checks the messages of the app."""
        if self._rules is None:
            self._rules = HTTPRules(self.scope, self._mode)
        return self._rules

    def _miss_client(self, message: Message) -> None:
        """Raise because there is nobody to send to any more."""
        __tracebackhide__ = True
        # A framework that answers an exception raises it when the answer was sent: an error of
        # ours would be raised in its place.
        if sys.exception() is not None and not message.get("more_body"):
            return
        self._note_told()
        raise ClientDisconnectedError("The client has gone away.")

    def _note_told(self) -> None:
        self.is_told = True

    # --- what the messages do ------------------------------------------------------------------

    def _start_response(self, message: Message) -> None:
        self.status = message["status"]
        self.headers = list(map(tuple, message.get("headers", ())))
        if self._listen is not None:
            self._report_start()

    def _extend_body(self, message: Message) -> None:
        part = message.get("body", b"")
        if part:
            self._keep(part if part.__class__ is bytes else bytes(part))

    def _send_file(self, message: Message) -> None:
        """Read the file that the app names instead of sending its bytes."""
        # https://asgi.readthedocs.io/en/latest/extensions.html#path-send
        self._keep(Path(message["path"]).read_bytes())

    def _send_part_of_file(self, message: Message) -> None:
        """Read from the open file that the app gives instead of its bytes."""
        # https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send
        with open(message["file"].fileno(), "rb", buffering=0, closefd=False) as file:
            if message.get("offset") is not None:
                file.seek(message["offset"])
            count = message.get("count")
            self._keep(file.read(-1 if count is None else count))

    def _keep(self, part: bytes) -> None:
        """Do what the kind of exchange does with a part of the body."""
        raise NotImplementedError

    def _add_trailers(self, message: Message) -> None:
        # https://asgi.readthedocs.io/en/latest/extensions.html#http-trailers
        self._extend(message["type"], list(map(tuple, message.get("headers", ()))))

    def _add_early_hints(self, message: Message) -> None:
        # https://asgi.readthedocs.io/en/latest/extensions.html#early-hints
        self._extend(message["type"], list(message.get("links", ())))

    def _add_push(self, message: Message) -> None:
        # https://asgi.readthedocs.io/en/latest/extensions.html#http-2-server-push
        self._extend(message["type"], [message])

    def _extend(self, kind: str, items: list[Any]) -> None:
        self._note(kind, [*self.extensions.get(kind, ()), *items])

    def _keep_debug(self, message: Message) -> None:
        # https://asgi.readthedocs.io/en/latest/extensions.html#debug
        self._note(message["type"], message.get("info"))

    def _note(self, kind: str, value: object) -> None:
        if self.extensions is Exchange.extensions:
            self.extensions = {}
        self.extensions[kind] = value

    _handlers: ClassVar[dict[str, Callable[[Exchange, Message], None]]] = {
        "http.response.start": _start_response,
        "http.response.body": _extend_body,
        "http.response.pathsend": _send_file,
        "http.response.zerocopysend": _send_part_of_file,
        "http.response.trailers": _add_trailers,
        "http.response.early_hint": _add_early_hints,
        "http.response.push": _add_push,
        "http.response.debug": _keep_debug,
    }

    def _end(self) -> None:
        self._is_over = True
        self.ring()

    def ring(self) -> None:
        """Let everyone who waits look again."""
        if self._bell is not None:
            self._bell.ring()

    async def _wait_until(self, is_reached: Callable[[], bool]) -> None:
        while not is_reached():
            if self._bell is None:
                self._bell = Bell()
            await self._bell.wait()

    # --- what is told --------------------------------------------------------------------------

    def _report_request(self) -> None:
        assert self._listen is not None
        self._number = next_number()
        events.exchange.set(self._number)
        self.extensions = {**self.extensions, events.EXCHANGE: self._number}
        self._listen(
            events.RequestSent(
                exchange=self._number,
                method=self.scope["method"],
                path=self.scope["path"],
                query_string=self.scope["query_string"],
            )
        )

    def _report_start(self) -> None:
        assert self._listen is not None
        assert self.status is not None
        self._listen(
            events.ResponseStarted(
                exchange=self._number, status=self.status, headers=tuple(self.headers)
            )
        )

    def _report_completion(self) -> None:
        assert self._listen is not None
        self._listen(events.ResponseCompleted(exchange=self._number, body_size=self._size))


class BufferedExchange(Exchange):
    """One request and its whole response.

    Nearly every app sends two messages, a start and a body, which break no rule. These are taken
    here, because a test may make many requests. For all that is unusual the referee is called, and
    told what has gone before.

    Attributes:
        body: The body of the response, once the exchange is over.
    """

    body = b""
    _parts: list[bytes] | None = None  # of a body in the making
    _left: int  # what the start said of the length of the body

    async def _send(self, message: Message) -> None:
        __tracebackhide__ = True
        if self._rules is None and message.__class__ is dict and self._mode != "strict":
            kind = message.get("type")
            if self.status is None:
                if kind == "http.response.start":
                    left = find_plain_length(message)
                    if left is not None:
                        self._left = NO_LENGTH if self.scope["method"] == "HEAD" else left
                        self.status = message["status"]
                        self.headers = list(message.get("headers", ()))
                        if self._listen is not None:
                            self._report_start()
                        return
            elif kind == "http.response.body" and not self.is_complete:
                body = message.get("body", b"")
                if (
                    body.__class__ is bytes
                    and message.get("more_body", False) is False
                    and (self._left == len(body) or self._left == NO_LENGTH)
                ):
                    self.body = body
                    self.is_complete = self._is_over = True
                    if self._bell is not None:
                        self._bell.ring()
                    if self._listen is not None:
                        self._size = len(body)
                        self._report_completion()
                    return
        await super()._send(message)

    def _call_referee(self) -> HTTPRules:
        if self._rules is None:
            self._rules = HTTPRules(self.scope, self._mode)
            if self.is_complete:
                self._rules.state = _COMPLETE
            elif self.status is not None:
                self._rules.state = _STARTED
                self._rules.expect(self._left)
        return self._rules

    def _keep(self, part: bytes) -> None:
        if self._parts is None:
            self._parts = []
        self._parts.append(part)
        self._size += len(part)

    def _end(self) -> None:
        if self._parts is not None:
            self.body = b"".join(self._parts)
        super()._end()
