"""One WebSocket connection to the app, message by message: no frames and no network.

The app runs in a task of its own, as far ahead of its reader as a server's buffer would let it.
What the client sends waits for the app without a limit, so that a test may send first and read
later.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias

from pytest_asgi import events
from pytest_asgi.asgi.disconnects import ClientDisconnectedError, is_only_disconnect
from pytest_asgi.asgi.exchange import next_number
from pytest_asgi.asgi.rules import WebSocketRules
from pytest_asgi.asgi.streaming import DEFAULT_GRACE, HIGH_WATER, UNAWARE, AppSilentError
from pytest_asgi.asgi.tasks import AppTask, Bell
from pytest_asgi.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_asgi.asgi.rules import Mode
    from pytest_asgi.asgi.types import ASGIApp, Message, RawHeaders, Scope

Data: TypeAlias = str | bytes
Party: TypeAlias = Literal["app", "client"]

# https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
NORMAL_CLOSURE = 1000
ABNORMAL_CLOSURE = 1006

SWITCHING_PROTOCOLS = 101
_FORBIDDEN = 403

# What a message takes in a server's buffer beside its content.
_FRAME = 4


class Closing(NamedTuple):
    """How a connection ended.

    Attributes:
        code: The code of the close frame; 1006 if there would be none.
    """

    code: int
    reason: str
    by: Party


class WebSocketExchange:
    """One call of the app with a WebSocket connection.

    Args:
        scope: The scope of the connection.
        rules: What to do about broken rules; `None` for what the test's settings say.
        grace: How many seconds the app may go on after it has learnt that the connection ended,
            before it is cancelled.

    Attributes:
        status: The status that answers the handshake: 101 if the app accepts, 403 if it closes
            instead, or that of its denial response; `None` until then.
        headers: The headers of that answer, as the app sent them.
        body: The body of a denial response.
        subprotocol: What the app chose of the subprotocols.
        closing: How the connection ended; `None` until then.
        is_told: Whether the app knows that the connection ended.
    """

    status: int | None = None
    headers: RawHeaders = []  # noqa: RUF012 - replaced, never changed
    body = b""
    subprotocol: str | None = None
    closing: Closing | None = None
    is_told = False
    body_error: None = None
    _unread_size = 0
    _denial: Message | None = None
    _error: ProtocolError | None = None
    _number = 0

    def __init__(
        self, scope: Scope, rules: Mode | None = None, *, grace: float = DEFAULT_GRACE
    ) -> None:
        self.scope = scope
        self._rules = WebSocketRules(scope, rules)
        self._grace = grace
        self._inbox: deque[Message] = deque([{"type": "websocket.connect"}])
        self._unread: deque[Data] = deque()
        self._of_app = Bell()  # rings for the client
        self._of_client = Bell()  # rings for the app
        self._task: AppTask | None = None
        self._listen = events.listener.get()

    def describe(self) -> str:
        """Return which connection it is, and how far it has come."""
        connection = f"WebSocket {self.scope['path']}"
        if self.status is None:
            return f"{connection}, not accepted yet"
        return f"{connection}, {'open' if self.closing is None else 'closed'}"

    @property
    def task(self) -> AppTask:
        """The task of the app."""
        assert self._task is not None, "start() comes first"
        return self._task

    @property
    def failure(self) -> BaseException | None:
        """What the app let escape, unless it only says that the client left."""
        error = self.task.exception
        if error is not None and self._has_client_left and is_only_disconnect(error):
            return None
        return error

    @property
    def _has_client_left(self) -> bool:
        return self.closing is not None and self.closing.by == "client"

    # --- what the client does --------------------------------------------------------------------

    async def start(self, app: ASGIApp, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Call the app and wait until it has answered the handshake, or ends without.

        Raises:
            AppSilentError: Neither happened within `timeout` seconds; the app was cancelled.
        """
        __tracebackhide__ = True
        if self._listen is not None:
            self._number = next_number()
        self._task = AppTask(lambda: self._run(app), on_finished=self._note_end)
        try:
            await self.wait_until(
                lambda: self.status is not None or self.task.is_finished, timeout
            )
        except BaseException:
            self.leave(ABNORMAL_CLOSURE)
            await self.task.cancel()
            raise
        self._task.adopt_context()

    def push(self, data: Data) -> None:
        """Send a message to the app; it is lost if the connection has ended."""
        if self.closing is None:
            kind = "text" if isinstance(data, str) else "bytes"
            self._tell_app({"type": "websocket.receive", kind: data})
            if self._listen is not None:
                self._listen(
                    events.WebSocketMessageSent(exchange=self._number, by="client", data=data)
                )

    def push_raw(self, message: Message) -> None:
        """Send a message that no server sends, for a test of what the app makes of it."""
        if self.closing is None:
            self._tell_app(message)

    def take(self) -> Data | None:
        """Return the next message of the app; `None` if there is none as yet."""
        if not self._unread:
            return None
        data = self._unread.popleft()
        was_full = self._unread_size > HIGH_WATER
        self._unread_size -= len(data) + _FRAME
        if was_full:
            self._of_client.ring()
        return data

    @property
    def has_news(self) -> bool:
        """Whether there is a message to take, or nothing more to come."""
        return bool(self._unread) or self.closing is not None

    async def wait_for_message(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until there is a message to take or the connection has ended.

        Raises:
            AppSilentError: Neither happened within `timeout` seconds.
        """
        __tracebackhide__ = True
        while not (self._unread or self.closing is not None):
            if not await self._of_app.wait(timeout):
                raise self._silence(timeout)

    def leave(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Let the client close the connection: `send` raises in the app from now on."""
        if self.closing is None:
            self._rules.disconnect()
            self._end(Closing(code, reason, "client"))
            self._tell_app({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def close(self) -> None:
        """Wait until the app has ended; cancel it if it does not. Unread messages are lost."""
        self._unread.clear()
        self._unread_size = 0
        self._of_client.ring()
        try:
            await self.wait_until(lambda: self.is_told or self.task.is_finished, UNAWARE)
            await self.wait_until(lambda: self.task.is_finished, self._grace)
        except AppSilentError:
            await self.task.cancel()
        except BaseException:
            await self.task.cancel()
            raise
        self.task.adopt_context()

    async def abort(self) -> None:
        """End the app at once."""
        self.leave(ABNORMAL_CLOSURE)
        await self.task.cancel()

    async def wait_until(
        self,
        is_reached: Callable[[], bool],
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> None:
        """Wait for what the app does; `ring` has the condition looked at again.

        Raises:
            AppSilentError: The app did nothing for `timeout` seconds.
        """
        __tracebackhide__ = True
        while not is_reached():
            if not await self._of_app.wait(timeout):
                raise self._silence(timeout)

    def _silence(self, timeout: float | None) -> AppSilentError:
        return AppSilentError(
            f"The app sent nothing for {timeout:g} seconds: {self.task.describe_wait()}."
        )

    def ring(self) -> None:
        """Let whoever waits for the app look again."""
        self._of_app.ring()

    def _tell_app(self, message: Message) -> None:
        self._inbox.append(message)
        self._of_client.ring()

    # --- what the app does -----------------------------------------------------------------------

    async def _run(self, app: ASGIApp) -> None:
        __tracebackhide__ = True
        try:
            await app(self.scope, self._receive, self._send)
            self._require_correctness()
        except Exception as error:
            if isinstance(error, ProtocolError):
                error.add_note(f"While answering the WebSocket {self.scope['path']}")
            if self._listen is not None:
                self._listen(events.AppRaised(exchange=self._number, exception=error))
            raise

    def _require_correctness(self) -> None:
        __tracebackhide__ = True
        if self._error is not None:
            raise self._error
        self._rules.check_return()

    async def _receive(self) -> Message:
        while not self._inbox:
            await self._of_client.wait()
        message = self._inbox[0]
        if message["type"] == "websocket.disconnect":
            self._note_told()  # The message stays: whoever asks again shall not wait for ever.
        else:
            self._inbox.popleft()
        return message

    async def _send(self, message: Message) -> None:
        __tracebackhide__ = True
        self._require_client()
        try:
            counts = self._rules.check(message)
        except ProtocolError as error:
            self._error = self._error or error
            raise
        if not counts:
            return
        self._handlers[message["type"]](self, message)
        self.ring()
        while self._unread_size > HIGH_WATER:
            await self._of_client.wait()
            self._require_client()

    def _require_client(self) -> None:
        """Raise if there is nobody to send to any more."""
        __tracebackhide__ = True
        if self._has_client_left:
            self._note_told()
            raise ClientDisconnectedError("The client has closed the connection.")

    def _accept(self, message: Message) -> None:
        self.status = SWITCHING_PROTOCOLS
        self.headers = list(map(tuple, message.get("headers", ())))
        self.subprotocol = message.get("subprotocol")
        if self._listen is not None:
            self._listen(
                events.WebSocketOpened(
                    exchange=self._number,
                    path=self.scope["path"],
                    query_string=self.scope["query_string"],
                    subprotocol=self.subprotocol,
                )
            )

    def _keep(self, message: Message) -> None:
        data: Data | None = message.get("text")
        if data is None:
            data = bytes(message["bytes"])
        self._unread.append(data)
        self._unread_size += len(data) + _FRAME
        if self._listen is not None:
            self._listen(events.WebSocketMessageSent(exchange=self._number, by="app", data=data))

    def _close(self, message: Message) -> None:
        code, reason = message.get("code", NORMAL_CLOSURE), message.get("reason") or ""
        if self.status is None:
            self._refuse(_FORBIDDEN, Closing(code, reason, "app"))
        else:
            self._end(Closing(code, reason, "app"))
            self._tell_app({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _start_denial(self, message: Message) -> None:
        self._denial = message

    def _extend_denial(self, message: Message) -> None:
        assert self._denial is not None
        self.body += message.get("body", b"")
        if not message.get("more_body", False):
            self.headers = list(map(tuple, self._denial.get("headers", ())))
            self._refuse(self._denial["status"], Closing(ABNORMAL_CLOSURE, "", "app"))

    _handlers: ClassVar[dict[str, Callable[[WebSocketExchange, Message], None]]] = {
        "websocket.accept": _accept,
        "websocket.send": _keep,
        "websocket.close": _close,
        "websocket.http.response.start": _start_denial,
        "websocket.http.response.body": _extend_denial,
    }

    # --- the end ---------------------------------------------------------------------------------

    def _refuse(self, status: int, closing: Closing) -> None:
        """Answer the handshake with something else than a connection."""
        self.status = status
        self.closing = closing
        self.is_told = True
        self._tell_app({"type": "websocket.disconnect", "code": ABNORMAL_CLOSURE, "reason": ""})
        if self._listen is not None:
            self._listen(
                events.WebSocketRefused(
                    exchange=self._number,
                    path=self.scope["path"],
                    query_string=self.scope["query_string"],
                    status=status,
                )
            )

    def _end(self, closing: Closing) -> None:
        """Take note of how the connection ends, if it is not refused."""
        self.closing = closing
        self.is_told = closing.by == "app"
        self.ring()
        self._of_client.ring()
        if self._listen is not None and self.status is not None:
            self._listen(
                events.WebSocketClosed(
                    exchange=self._number,
                    by=closing.by,
                    code=closing.code,
                    reason=closing.reason,
                )
            )

    def _note_end(self) -> None:
        """Take note that the app has ended, so the connection has as well."""
        if self.closing is None:
            self._end(Closing(ABNORMAL_CLOSURE, "", "app"))
        self.ring()

    def _note_told(self) -> None:
        self.is_told = True
        self.ring()
