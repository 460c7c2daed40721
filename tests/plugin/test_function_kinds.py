"""What kind of function something is: the quick answer must be the right one."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, Mock

import pytest

from pytest_asgi.plugin.function_kinds import is_async_function

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def coroutine() -> None:
    pass


async def generator() -> AsyncGenerator[None]:
    yield


def plain() -> Any:
    return coroutine()


@functools.wraps(coroutine)
def wrapper() -> Any:
    return coroutine()


class Owner:
    async def coroutine(self) -> None:
        pass

    def plain(self) -> None:
        pass

    @classmethod
    async def of_class(cls) -> None:
        pass

    @pytest.mark.skip
    async def marked(self) -> None:
        pass

    @pytest.mark.skip
    def marked_plain(self) -> None:
        pass

    partial = functools.partialmethod(coroutine)
    plain_partial = functools.partialmethod(plain)


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(coroutine, id="coroutine"),
        pytest.param(generator, id="generator"),
        pytest.param(Owner().coroutine, id="method"),
        pytest.param(Owner.of_class, id="class method"),
        pytest.param(Owner().marked, id="marked"),
        pytest.param(Owner().partial, id="partial method"),
        pytest.param(functools.partial(coroutine), id="partial"),
        pytest.param(functools.partial(generator), id="partial generator"),
        pytest.param(AsyncMock(), id="mock"),
    ],
)
def test_what_is_called_to_give_a_coroutine_or_an_async_generator_is_async(
    function: object,
) -> None:
    assert is_async_function(function)


if sys.version_info >= (3, 12):

    def test_a_function_that_is_marked_as_async_is_async() -> None:
        def answer() -> Any:
            return coroutine()

        assert not is_async_function(answer)
        inspect.markcoroutinefunction(answer)
        assert is_async_function(answer)


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(plain, id="function"),
        pytest.param(Owner().plain, id="method"),
        pytest.param(Owner().marked_plain, id="marked"),
        pytest.param(Owner().plain_partial, id="partial method"),
        pytest.param(functools.partial(plain), id="partial"),
        pytest.param(wrapper, id="wrapper"),
        pytest.param(Mock(), id="mock"),
        pytest.param(len, id="built-in"),
        pytest.param(None, id="nothing"),
    ],
)
def test_everything_else_is_not(function: object) -> None:
    assert not is_async_function(function)
