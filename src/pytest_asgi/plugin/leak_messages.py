"""What is said of things that were left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asgi.errors import LeakError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_asgi.runner.leaks.keepers import Keeper, Leak

    Late = Sequence[tuple[Keeper, Leak]]

_NAMELESS = frozenset({"socket", "stream"})  # or called otherwise the next time
_ENDS = {
    "task": "Await or cancel a task, or start it in an `asyncio.TaskGroup`.",
    "stream": "Leave the `async with` of a stream, a WebSocket or a client.",
    "generator": "Use a generator in `async with contextlib.aclosing(…)`.",
    "client": "Use a client in `async with`, or close it.",
    "socket": "Close a socket, a connection or a server.",
    "process": "Wait for a process, or kill it.",
    "thread": "Tell a thread to end, and `join()` it.",
    "state": "Put back `app.state` in a fixture, with `monkeypatch.setattr(app.state, …)`.",
}


def left_behind(owner: Keeper, leaks: Sequence[Leak], late: Late) -> LeakError:
    """Return the error of who has left something behind.

    Args:
        owner: A test or a fixture that is over.
        leaks: What it has left.
        late: What has become known now of others, which were over before.
    """
    parts = []
    if leaks:
        parts.append(f"{owner.name} left behind:\n\n{_indent(leaks)}")
    for earlier, leak in late:
        parts.append(f"{earlier.name}, which is over, left behind:\n\n{_indent([leak])}")
    every = [*leaks, *(leak for _, leak in late)]
    kinds = dict.fromkeys(leak.kind for leak in every)
    example = every[0].kind
    if example not in _NAMELESS:
        example += f":{every[0].names[0]}".replace(" ", "?")
    return LeakError(
        "\n\n".join(parts),
        why="What is still there can fail, hang or change another test."
        + (" The tasks have been cancelled now." if {"task", "stream"} & kinds.keys() else ""),
        fix=" ".join(_ENDS[kind] for kind in kinds)
        + " If it is there on purpose, allow it:"
        + f'\n\n    @pytest.mark.asgi(allow_leaks=["{example}"])',
    )


def in_lines(owner: Keeper, leaks: Sequence[Leak], late: Late) -> Iterator[str]:
    """Yield the same for the summary, a line each."""
    for who, leak in [*((owner, leak) for leak in leaks), *late]:
        yield f"{who.name}: {leak}"


def _indent(leaks: Iterable[Leak]) -> str:
    return "\n".join(f"    {leak}" for leak in leaks)
