"""Which tests and fixtures are asynchronous."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin import pytest_private
from pytest_asgi.plugin.function_kinds import is_async_function

if TYPE_CHECKING:
    from collections.abc import Callable

_HAS_ASYNC_XUNIT_FUNCTIONS = pytest.StashKey[bool]()
_IS_UNITTEST = pytest.StashKey[bool]()


def test_function(item: pytest.Function) -> Callable[..., Any]:
    """Return the function that the user wrote, below hypothesis if that is around it."""
    return inner_function(item.obj)


def inner_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that hypothesis was put around, if it was; else the function itself."""
    inner: Callable[..., Any] | None
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", None)
    return function if inner is None else inner


def is_async_test(item: pytest.Item) -> bool:
    """Tell whether `item` is an async test function, and no method of a `unittest.TestCase`."""
    return (
        isinstance(item, pytest.Function)
        and is_async_function(test_function(item))
        and not is_unittest(item)
    )


def has_async_xunit_functions(item: pytest.Function) -> bool:
    """Tell whether an async `setup_method`, `teardown_function` or the like belongs to `item`."""
    assert item.parent is not None
    shared = item.parent.stash  # all tests of a class, or of a module, have the same functions
    if _HAS_ASYNC_XUNIT_FUNCTIONS not in shared:
        owner, kind = (item.module, "function") if item.cls is None else (item.cls, "method")
        functions = (getattr(owner, f"{when}_{kind}", None) for when in ("setup", "teardown"))
        shared[_HAS_ASYNC_XUNIT_FUNCTIONS] = any(map(is_async_function, functions))
    return shared[_HAS_ASYNC_XUNIT_FUNCTIONS]


def is_unittest(item: pytest.Function) -> bool:
    """Tell whether `item` is a method of a `unittest.TestCase`, which runs itself."""
    if type(item) is pytest.Function:  # pytest has a kind of its own for those
        return False
    assert item.parent is not None
    shared = item.parent.stash  # all tests of a class have the same answer
    if _IS_UNITTEST not in shared:
        unittest = sys.modules.get("unittest")  # not imported: then there is no such class
        shared[_IS_UNITTEST] = (
            unittest is not None
            and item.cls is not None
            and issubclass(item.cls, unittest.TestCase)
        )
    return shared[_IS_UNITTEST]


class AsyncFixtures:
    """Answers, for every fixture once, whether it is asynchronous."""

    def __init__(self) -> None:
        self._answers: dict[pytest.FixtureDef[Any], bool] = {}

    def has(self, definition: pytest.FixtureDef[Any]) -> bool:
        """Tell whether `definition` is an async fixture."""
        answer = self._answers.get(definition)
        if answer is None:
            answer = self._answers[definition] = is_async_function(definition.func)
        return answer

    def used_by(self, item: pytest.Item) -> bool:
        """Tell whether `item` uses an async fixture, directly or through another one."""
        return isinstance(item, pytest.Function) and any(
            map(self.has, pytest_private.fixture_definitions(item))
        )
