"""An async generator as a fixture: one `yield`, set-up before it and tear-down after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_asgi.errors import FixtureError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__tracebackhide__ = True  # a failure ends in the user's line


async def set_up(generator: AsyncGenerator[Any, None], name: str) -> Any:
    """Run `generator` to its `yield` and return the value.

    Raises:
        FixtureError: It ended without a `yield`.
    """
    try:
        return await anext(generator)
    except StopAsyncIteration:
        raise _yielded_never(name) from None


async def tear_down(generator: AsyncGenerator[Any, None], name: str) -> None:
    """Run `generator` from its `yield` to its end.

    Raises:
        FixtureError: It yielded once more.
    """
    try:
        await anext(generator)
    except StopAsyncIteration:
        return
    await generator.aclose()
    raise _yielded_twice(name)


async def unwind(
    generator: AsyncGenerator[Any, None], name: str, cancelled: BaseException
) -> None:
    """Let `generator` see a cancellation as if the test's code stood in the place of its `yield`.

    Returns if the generator has caught it, as a cancel scope does whose own cancellation it is.

    Raises:
        BaseException: It is somebody else's.
        FixtureError: The generator yielded once more.
    """
    try:
        await generator.athrow(cancelled)
    except StopAsyncIteration:
        return
    await generator.aclose()
    raise _yielded_twice(name)


def _yielded_never(name: str) -> FixtureError:
    return FixtureError(
        f"The async fixture {name!r} did not yield a value.",
        why="A generator fixture yields exactly once; this one ended before any `yield`.",
        fix="Yield the value on every path through the fixture, or `return` it and have no `yield`"
        " in the function.",
    )


def _yielded_twice(name: str) -> FixtureError:
    return FixtureError(
        f"The async fixture {name!r} yielded more than once.",
        why="A generator fixture yields exactly once: set-up before the `yield`, tear-down after.",
        fix="Remove the second `yield`; to give several values, parametrize the fixture:"
        " `@pytest.fixture(params=[…])`.",
    )
