"""What can happen in a test, and the way to whoever listens.

Producers call `emit` and never learn who listens; a listener is set in the context of one test,
so an event always reaches the test that caused it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_asgi.event_kinds import *  # noqa: F403 - all of them, as if they were here
    from pytest_asgi.event_kinds import Event


def __getattr__(name: str) -> Any:
    """Import the events themselves when somebody needs one."""
    from pytest_asgi import event_kinds  # noqa: PLC0415 - takes a while, and is rarely needed

    try:
        kind = globals()[name] = getattr(event_kinds, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return kind


Listener = Callable[["Event"], None]

# A variable of the context, not of the module: whatever a test causes, in tasks and threads
# alike, carries the test's own listener.
listener: ContextVar[Listener | None] = ContextVar("pytest_asgi_listener", default=None)

EXCHANGE = "pytest_asgi.exchange"
"""Among the extensions of a response: the number of its exchange, if anybody listened to it."""

# The number of the exchange that the code of a context belongs to, while somebody listens.
exchange: ContextVar[int | None] = ContextVar("pytest_asgi_exchange", default=None)


def is_anyone_listening() -> bool:
    """Tell whether the running test has a listener: an event costs more than asking."""
    return listener.get() is not None


def emit(event: Event) -> None:
    """Hand `event` to the listener of the running test, if there is one."""
    listen = listener.get()
    if listen is not None:
        listen(event)


@contextmanager
def heard_by(listen: Listener) -> Generator[None]:
    """Let `listen` hear what happens in the context of the block, beside who listens already."""
    earlier = listener.get()

    def tell_both(event: Event) -> None:
        assert earlier is not None
        earlier(event)
        listen(event)

    token = listener.set(listen if earlier is None else tell_both)
    try:
        yield
    finally:
        listener.reset(token)


@contextmanager
def unheard() -> Generator[None]:
    """Let nobody hear what happens in the context of the block."""
    token = listener.set(None)
    try:
        yield
    finally:
        listener.reset(token)
