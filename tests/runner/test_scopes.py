"""Which scopes a suspended generator holds is told from its stack, not from its variables."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest

from pytest_asgi.runner.scopes import has_cancelled, holds_task_group

Generator = AsyncGenerator[Any, None]


class Holder:
    """A context manager of somebody's own that keeps another one in an attribute."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __aenter__(self) -> Any:
        return await self.inner.__aenter__()

    async def __aexit__(self, *error: object) -> Any:
        return await self.inner.__aexit__(*error)


@contextlib.asynccontextmanager
async def in_a_function(inner: Any) -> Generator:
    async with inner as held:
        yield held


@contextlib.asynccontextmanager
async def in_a_stack(inner: Any) -> Generator:
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(inner)


async def hold(block: Any) -> Generator:
    async with block as held:
        yield held


WAYS: list[Callable[[Any], Any]] = [lambda block: block, Holder, in_a_function, in_a_stack]
each_way = pytest.mark.parametrize("way", WAYS, ids=["itself", "object", "function", "stack"])


@each_way
@pytest.mark.parametrize("make", [asyncio.TaskGroup, anyio.create_task_group])
async def test_a_task_group_is_found_and_whether_it_is_cancelled(
    way: Callable[[Any], Any], make: Callable[[], Any]
) -> None:
    async def fail() -> None:
        raise LookupError

    generator = hold(way(make()))
    group = await anext(generator)
    assert holds_task_group(generator)
    assert not has_cancelled(generator)

    (group.start_soon if isinstance(group, anyio.abc.TaskGroup) else make_task(group))(fail)
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await asyncio.Event().wait()

    assert has_cancelled(generator)
    with pytest.raises(ExceptionGroup):
        await generator.athrow(cancelled.value)


def make_task(group: asyncio.TaskGroup) -> Callable[[Callable[[], Any]], object]:
    return lambda function: group.create_task(function())


@each_way
async def test_a_timeout_is_found_and_whether_it_has_expired(way: Callable[[Any], Any]) -> None:
    generator = hold(way(asyncio.timeout(None)))
    timeout = await anext(generator)
    assert not has_cancelled(generator)

    timeout.reschedule(asyncio.get_running_loop().time())
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await asyncio.Event().wait()

    assert has_cancelled(generator)
    assert not holds_task_group(generator)
    with pytest.raises(TimeoutError):
        await generator.athrow(cancelled.value)


async def test_a_scope_that_a_variable_names_is_not_held() -> None:
    async def name(other: object) -> Generator:
        async with asyncio.timeout(60):
            yield other

    with anyio.CancelScope() as cancelled, anyio.CancelScope(shield=True):
        cancelled.cancel()
        generator = name(cancelled)
        assert await anext(generator) is cancelled

        assert not has_cancelled(generator)
        await generator.aclose()


async def test_a_scope_around_one_that_is_held_is_not_held() -> None:
    async def shield() -> Generator:
        with anyio.CancelScope(shield=True):
            yield

    with anyio.CancelScope() as cancelled:
        generator = shield()
        await anext(generator)
        cancelled.cancel()

        assert not has_cancelled(generator)
        with contextlib.suppress(StopAsyncIteration):
            await anext(generator)


async def test_a_scope_behind_very_many_objects_is_not_looked_for() -> None:
    block = Holder(Holder(Holder(Holder(asyncio.TaskGroup()))))
    generator = hold(block)
    await anext(generator)
    assert holds_task_group(generator)

    block.others = [[number] for number in range(1000)]  # type: ignore[attr-defined]

    assert not holds_task_group(generator)
    with contextlib.suppress(StopAsyncIteration):
        await anext(generator)


def test_anyio_need_not_be_imported() -> None:
    code = (
        "import asyncio, sys\n"
        "from pytest_asgi.runner.scopes import has_cancelled\n"
        "async def hold():\n"
        "    async with asyncio.timeout(60): yield\n"
        "async def main():\n"
        "    generator = hold()\n"
        "    await anext(generator)\n"
        "    print(has_cancelled(generator), 'anyio' in sys.modules)\n"
        "    await generator.aclose()\n"
        "asyncio.run(main())"
    )

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.split() == ["False", "False"]
