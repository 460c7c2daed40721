"""The implementations of a hook that would come after one's own."""

from __future__ import annotations

import pluggy
import pytest

from pytest_asgi.plugin.hooks import RestOfHook


class _Hooks:
    @pytest.hookspec(firstresult=True)
    def pytest_answer(self, question: str) -> str | None: ...


class _Plugin:
    """Answers one question and writes down that it was asked."""

    def __init__(self, diary: list[_Plugin], *, knows: str = "") -> None:
        self._diary = diary
        self._knows = knows

    @pytest.hookimpl
    def pytest_answer(self, question: str) -> str | None:
        self._diary.append(self)
        return "yes" if question == self._knows else None


@pytest.fixture
def diary() -> list[_Plugin]:
    return []


@pytest.fixture
def plugins(diary: list[_Plugin]) -> list[_Plugin]:
    """Four plugins in the order in which they are asked."""
    return [_Plugin(diary), _Plugin(diary), _Plugin(diary, knows="it"), _Plugin(diary)]


@pytest.fixture
def hook(plugins: list[_Plugin]) -> pluggy.HookCaller:
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(_Hooks)
    for plugin in reversed(plugins):
        manager.register(plugin)
    return manager.hook.pytest_answer


def test_those_that_follow_are_asked_in_their_order_up_to_the_first_result(
    hook: pluggy.HookCaller, plugins: list[_Plugin], diary: list[_Plugin]
) -> None:
    ask = RestOfHook(plugins[0]).of(hook)

    assert ask(question="it") == "yes"
    assert diary == plugins[1:3]


def test_there_may_be_no_result(
    hook: pluggy.HookCaller, plugins: list[_Plugin], diary: list[_Plugin]
) -> None:
    ask = RestOfHook(plugins[0]).of(hook)

    assert ask(question="something else") is None
    assert diary == plugins[1:]
