"""Loops whose origins are known, and the notes that explain what fails between them."""

import asyncio
import importlib.util
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_asgi.runner.foreign_loops import LoopOrigins, explain
from tests.runner.foreign_loops.errors import (
    Explain,
    failure,
    required,
)


@pytest.fixture(autouse=True)
def in_this_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the notes show files by their names alone: how wide they are depends on nothing else."""
    monkeypatch.chdir(Path(__file__).parent)


@pytest.fixture
def origins() -> Generator[LoopOrigins]:
    with LoopOrigins() as origins:
        yield origins


@pytest.fixture
def session_loop(origins: LoopOrigins) -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def other_loop(session_loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def note_of(origins: LoopOrigins, session_loop: asyncio.AbstractEventLoop) -> Explain:
    def note_of(error: BaseException) -> str | None:
        return explain(error, session_loop=session_loop, origins=origins)

    return note_of


@pytest.fixture
def note(note_of: Explain, session_loop: asyncio.AbstractEventLoop) -> Callable[..., str]:
    """Return the note for what a coroutine function raises in the session's loop."""

    def note(function: Callable[[], Coroutine[Any, Any, object]]) -> str:
        return required(note_of(failure(lambda: session_loop.run_until_complete(function()))))

    return note


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], ModuleType]:
    """Import a module from its source, as a user's own code in the working directory."""
    monkeypatch.chdir(tmp_path)

    def write_and_import(file: str, source: str) -> ModuleType:
        path = tmp_path / f"{file}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        name = path.stem
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return write_and_import
