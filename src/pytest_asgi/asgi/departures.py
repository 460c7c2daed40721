"""A client that goes away at a moment of the test's choice, and what the app makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pytest_asgi.asgi.tasks import AppTask, let_others_run
from pytest_asgi.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pytest_asgi.asgi.streaming import StreamedExchange
    from pytest_asgi.asgi.types import ASGIApp

During: TypeAlias = Literal["upload", "work", "download"]

_DESCRIPTIONS: dict[During, str] = {
    "upload": "the app asked for more of the request's body than was sent",
    "work": "the app waited for something",
    "download": "{parts} parts of the response's body were there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a client goes away.

    Attributes:
        during: What the client is in the middle of: `upload`, sending the body of its request;
            `work`, waiting for the response; `download`, reading the body of the response.
        parts: How many parts of the response's body it reads before.
        once: What it waits for besides.
    """

    during: During = "work"
    parts: int = 1
    once: Callable[[], Awaitable[object]] | None = None

    def __str__(self) -> str:
        """Return the moment as the end of a sentence."""
        text = _DESCRIPTIONS[self.during].format(parts=self.parts)
        return text if self.once is None else f"{text} and `once` had returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What an app did while its client went away, and after that.

    Attributes:
        status: The status of the response; `None` if it had not started.
        body: What the client had read of the response's body.
        was_noticed: Whether the app has learnt that its client left: it received
            `http.disconnect`, or `send` raised an `OSError`.
        was_cancelled: Whether the app had to be cancelled, because it did not end within the time
            of `disconnect_grace`.
        exception: What the app let escape because of the disconnect: the `OSError`, or its
            framework's own exception for it.
    """

    status: int | None
    body: bytes
    was_noticed: bool
    was_cancelled: bool
    exception: BaseException | None


async def visit(exchange: StreamedExchange, app: ASGIApp, moment: Moment) -> Departure:
    """Call the app and go away at a moment.

    Raises:
        AppError: The app was done before the moment came, and raised nothing.
    """
    __tracebackhide__ = True
    parts: list[bytes] = []
    exchange.is_body_endless = moment.during == "upload"
    exchange.begin(app)
    try:
        await _wait_for(moment, exchange, parts)
        is_too_late = exchange.is_over
        if is_too_late:
            await exchange.close()
        else:
            await exchange.depart(unaware=exchange.grace)
    except BaseException:
        exchange.leave()
        await exchange.task.cancel()
        raise
    if is_too_late and exchange.failure is None:
        raise _too_late(exchange, moment)
    exchange.task.adopt_context()
    return Departure(
        status=exchange.status,
        body=b"".join(parts),
        was_noticed=exchange.is_told,
        was_cancelled=exchange.task.was_cancelled,
        exception=exchange.task.exception,
    )


async def _wait_for(moment: Moment, exchange: StreamedExchange, parts: list[bytes]) -> None:
    """Wait for the moment, or until the exchange is over."""
    if moment.during == "upload":
        await exchange.wait_until(lambda: exchange.is_starving or exchange.is_over)
    elif moment.during == "download":
        await exchange.wait_until(lambda: exchange.status is not None or exchange.is_over)
        while len(parts) < moment.parts and (part := await exchange.read()) is not None:
            parts.append(part)
    else:
        while not exchange.task.has_begun:
            await let_others_run()
    if moment.once is not None:
        await _wait_once(moment.once, exchange)


async def _wait_once(once: Callable[[], Awaitable[object]], exchange: StreamedExchange) -> None:
    """Wait for what the test waits for, or until the exchange is over."""

    async def wait() -> None:
        await once()

    waiting = AppTask(wait, on_finished=exchange.ring)
    try:
        await exchange.wait_until(lambda: waiting.is_finished or exchange.is_over)
    finally:
        await waiting.cancel()
    if waiting.exception is not None:
        raise waiting.exception


def _too_late(exchange: StreamedExchange, moment: Moment) -> AppError:
    method, path = exchange.scope["method"], exchange.scope["path"]
    return AppError(
        f"The app had answered {method} {path} before its client could go away.",
        why=f"The client was to leave when {moment}. The app was done before, with the status "
        f"{exchange.status}.",
        fix="Let the app wait for something that the test holds back, or choose another moment:"
        '\n\n    await client.disconnect("GET", "/", during="download", parts=1)\n'
        '    await client.disconnect("GET", "/", once=working.wait)',
    )
