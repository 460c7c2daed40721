"""One call of the app whose response is read while the app sends it.

The app runs in a task of its own, as far ahead of its reader as a server's buffer would let it.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from pytest_asgi.asgi.disconnects import clear_frames, is_only_disconnect
from pytest_asgi.asgi.exchange import Exchange
from pytest_asgi.asgi.tasks import AppTask, Bell, abandon_generators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pytest_asgi.asgi.rules import Mode
    from pytest_asgi.asgi.types import ASGIApp, Message, Scope

# How many unread bytes let the app go on; what uvicorn allows before it waits for its client.
HIGH_WATER = 65_536

# For how many seconds an app goes on that had no way yet to learn that its client left: it may be
# about to send, or it waits for something that never comes.
UNAWARE = 0.1

DEFAULT_GRACE = 5.0


class AppSilentError(TimeoutError):
    """The app sent nothing for as long as its client wanted to wait."""


class StreamedExchange(Exchange):
    """One request and its response, part by part.

    Args:
        grace: How many seconds the app may go on after it has learnt that its client left,
            before it is cancelled.

    Attributes:
        is_body_endless: Whether the body of the request is to lack its end.
        is_starving: Whether the app asks for more of such a body than there is.
    """

    is_body_endless = False
    is_starving = False

    def __init__(
        self,
        scope: Scope,
        body: bytes | AsyncIterator[bytes],
        rules: Mode | None = None,
        *,
        grace: float = DEFAULT_GRACE,
    ) -> None:
        super().__init__(scope, body, rules)
        self.extensions = {}  # Its own from the start: a response shows it while it grows.
        self.grace = grace
        self._bell: Bell = Bell()
        self._unread: deque[bytes] = deque()
        self._unread_size = 0
        self._task: AppTask | None = None
        self._upload: AppTask | None = None
        self._chunk: bytes | None = None
        self._is_chunk_wanted = False

    @property
    def task(self) -> AppTask:
        """The task of the app."""
        assert self._task is not None, "begin() comes first"
        return self._task

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes: the response is complete, or the app or its client gone."""
        return self._is_over

    @property
    def failure(self) -> BaseException | None:
        """What the app let escape, unless it only says that the client left."""
        error = self.task.exception
        if error is not None and self._has_left and is_only_disconnect(error):
            return None
        return error

    async def start(self, app: ASGIApp, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Call the app and wait until its response starts, or it ends without one.

        Raises:
            AppSilentError: Neither happened within `timeout` seconds; the app was cancelled.
        """
        __tracebackhide__ = True
        self.begin(app)
        try:
            await self.wait_until(
                lambda: self.status is not None or self.task.is_finished, timeout
            )
        except BaseException:
            self.leave()
            await self.task.cancel()
            raise
        self.task.adopt_context()

    def begin(self, app: ASGIApp) -> None:
        """Call the app."""
        self._task = AppTask(lambda: self.run(app), on_finished=self.ring)

    async def read(self, timeout: float | None = None) -> bytes | None:  # noqa: ASYNC109
        """Return the next part of the body as the app sent it; `None` after the last one.

        Raises:
            AppSilentError: The app sent nothing for `timeout` seconds.
        """
        __tracebackhide__ = True
        await self.wait_until(lambda: bool(self._unread) or self._is_over, timeout)
        if not self._unread:
            return None
        part = self._unread.popleft()
        self._unread_size -= len(part)
        self.ring()
        return part

    async def close(self) -> None:
        """End the exchange: wait for the app, which is told first if its response goes on."""
        try:
            if not self.is_complete:
                await self.depart(unaware=UNAWARE)
            await self.task.wait()
        except BaseException:
            self.leave()
            await self.task.cancel()
            raise
        self.task.adopt_context()

    async def depart(self, *, unaware: float) -> None:
        """Leave, let the app notice and end, and cancel it if it does not.

        Args:
            unaware: For how many seconds it may go on without noticing.
        """
        self.leave()
        try:
            await self.wait_until(
                lambda: self.is_told or self.task.is_finished, min(unaware, self.grace)
            )
            await self.wait_until(lambda: self.task.is_finished, self.grace)
        except AppSilentError:
            await self.task.cancel()
        error = self.task.exception
        if error is not None and is_only_disconnect(error):
            # It keeps alive what was abandoned because of it, such as the generator of a body.
            await abandon_generators(partial(clear_frames, error))

    def leave(self) -> None:
        """Let the client go away, and forget what it has not read."""
        super().leave()
        self._unread.clear()
        self._unread_size = 0

    async def wait_until(
        self,
        is_reached: Callable[[], bool],
        timeout: float | None = None,  # noqa: ASYNC109 - passed on
    ) -> None:
        """Wait until something that the exchange or its app does makes `is_reached` true.

        Raises:
            AppSilentError: The app did nothing at all for `timeout` seconds.
        """
        __tracebackhide__ = True
        while not is_reached():
            if not await self._bell.wait(timeout):
                raise AppSilentError(
                    f"The app sent nothing for {timeout:g} seconds: {self.task.describe_wait()}."
                )

    # --- what the app does -----------------------------------------------------------------------

    async def _send(self, message: Message) -> None:
        __tracebackhide__ = True
        await super()._send(message)
        self.ring()
        if self._unread_size > HIGH_WATER:
            await self.wait_until(lambda: self._unread_size <= HIGH_WATER or self._is_over)
            if self._has_left:
                self._miss_client(message)

    def _keep(self, part: bytes) -> None:
        self._unread.append(part)
        self._unread_size += len(part)
        self._size += len(part)

    def _note_told(self) -> None:
        super()._note_told()
        self.ring()

    # --- the body of the request -----------------------------------------------------------------

    async def _read_body(self) -> Message | None:
        message = await super()._read_body()
        if message is None or message["more_body"] or not self.is_body_endless:
            return message
        self.is_starving = True
        self.ring()
        return None

    async def _next_chunk(self) -> bytes | None:
        """Return the next chunk, unless the client leaves meanwhile.

        The generator of the chunks has a task of its own: the app that waits for it must be
        reached by a disconnect.
        """
        if self._upload is None:
            self._upload = AppTask(self._read_chunks, on_finished=self.ring)
        upload = self._upload
        self._chunk, self._is_chunk_wanted = None, True
        self.ring()
        await self.wait_until(
            lambda: self._chunk is not None or upload.is_finished or self._has_left
        )
        if upload.exception is not None:
            raise upload.exception
        return self._chunk

    async def _read_chunks(self) -> None:
        await self.wait_until(lambda: self._is_chunk_wanted)
        while (chunk := await super()._next_chunk()) is not None:
            self._chunk, self._is_chunk_wanted = chunk, False
            self.ring()
            await self.wait_until(lambda: self._is_chunk_wanted)

    async def _close_body(self) -> None:
        if self._upload is not None:
            await self._upload.cancel()
        await super()._close_body()
