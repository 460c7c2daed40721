"""Who has to end what is begun: a test, or a fixture of a wider scope than one test."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import AsyncGenerator, Callable, Iterable
    from threading import Thread

    from pytest_asgi.asgi.stacks import Place

KINDS = {
    "task": "started",
    "stream": "opened",
    "generator": "begun",
    "client": "made",
    "socket": "opened",
    "process": "started",
    "thread": "started",
    "state": "set",
}
"""What can be left behind, and the word for its beginning."""


class Leak(NamedTuple):
    """Something that was left behind.

    Attributes:
        kind: One of `KINDS`.
        names: What it is called; the first is shown, and each may be allowed.
        place: The line of the user's own code that began it.
        detail: What else is known of it.
    """

    kind: str
    names: tuple[str, ...]
    place: Place
    detail: str = ""

    def __str__(self) -> str:
        """Return it in a line."""
        began = f"{KINDS[self.kind]} at {shorten(self.place)}"
        return f"{self.kind} {self.names[0]}, {began}" + (
            f"; {self.detail}" if self.detail else ""
        )

    def is_allowed(self, words: Iterable[str]) -> bool:
        """Tell whether one of `words` allows it: a kind, or `kind:pattern`."""
        for word in words:
            kind, colon, pattern = word.partition(":")
            if kind == self.kind and not colon:
                return True
            if kind == self.kind and any(fnmatchcase(name, pattern) for name in self.names):
                return True
        return False


class Start(NamedTuple):
    """How a task began.

    Attributes:
        parent: The task that started it.
    """

    place: Place
    parent: Task[Any] | None


@dataclass(eq=False, slots=True)
class Held:
    """Something that has to be closed, and is kept until it is known whether it was.

    Attributes:
        is_open: Tells whether it still has to be closed.
        is_known_to_loop: Whether the loop keeps it as long as it is open. Anything else that is
            open and kept by somebody is there on purpose.
    """

    leak: Leak
    thing: Any
    is_open: Callable[[Any], bool]
    is_known_to_loop: bool = False


@dataclass(eq=False, slots=True)
class Change:
    """A value that was changed, and what it was before."""

    leak: Leak
    is_changed: Callable[[], bool]
    put_back: Callable[[], None]


@dataclass(eq=False, slots=True, weakref_slot=True)
class Keeper:
    """A test, or a fixture of a wider scope, and what has begun in its context.

    Attributes:
        is_over: Whether it has ended; what begins then comes from what it has left behind.
        lost: Generators that nobody can close any more.
    """

    name: str
    is_over: bool = False
    tasks: WeakKeyDictionary[Task[Any], Start] = field(default_factory=WeakKeyDictionary)
    generators: WeakKeyDictionary[AsyncGenerator[Any, Any], Place] = field(
        default_factory=WeakKeyDictionary
    )
    threads: list[tuple[Thread, Place]] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    lost: list[Leak] = field(default_factory=list)


keeper: ContextVar[Keeper | None] = ContextVar("pytest_asgi_keeper", default=None)


def names_of(qualified: str) -> tuple[str, ...]:
    """Return the names of a function: the one that its `def` has, and where that stands."""
    return tuple(dict.fromkeys([qualified.rpartition("<locals>.")[2], qualified]))


def shorten(place: Place) -> str:
    """Return a place, with its file as seen from the working directory."""
    file = Path(place.file)
    below = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{below}:{place.line} in {place.function}"
