"""`ImportWatch` tells of an import, once, and leaves the module as it would be without."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_asgi.import_watch import ImportWatch


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "watched_module.py").write_text("value = 1\n")
    (tmp_path / "another_module.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in ("watched_module", "another_module"):
        monkeypatch.setitem(sys.modules, name, sys)  # forgotten in the end
        monkeypatch.delitem(sys.modules, name)
    return "watched_module"


def test_the_import_is_told_once_when_the_module_is_complete(module: str) -> None:
    told = []
    ImportWatch(module, lambda: told.append(sys.modules[module].value)).start()
    importlib.import_module("another_module")
    assert told == []

    importlib.import_module(module)
    importlib.reload(sys.modules[module])

    assert told == [1]


def test_a_module_that_was_imported_before_is_told_at_once() -> None:
    told = []

    ImportWatch("sys", lambda: told.append("sys")).start()

    assert told == ["sys"]


def test_nothing_is_told_after_stop(module: str) -> None:
    told: list[str] = []
    watch = ImportWatch(module, lambda: told.append(module))
    watch.start()

    watch.stop()
    importlib.import_module(module)

    assert told == []


def test_looking_for_the_module_is_not_importing_it(module: str) -> None:
    told: list[str] = []
    ImportWatch(module, lambda: told.append(module)).start()

    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.loader.get_source(module) == "value = 1\n"  # type: ignore[union-attr]
    assert told == []

    importlib.import_module(module)
    assert told == [module]


def test_two_watches_of_one_module_are_both_told(module: str) -> None:
    told = []
    ImportWatch(module, lambda: told.append("first")).start()
    ImportWatch(module, lambda: told.append("second")).start()

    imported = importlib.import_module(module)

    assert sorted(told) == ["first", "second"]
    assert type(imported.__loader__).__name__ == "SourceFileLoader"


def test_all_watches_together_are_asked_once_for_a_module(module: str) -> None:
    before = len(sys.meta_path)
    watches = [ImportWatch(name, print) for name in (module, "another_module", module)]

    for watch in watches:
        watch.start()

    assert len(sys.meta_path) <= before + 1
    for watch in watches:
        watch.stop()


def test_stopping_twice_does_no_harm(module: str) -> None:
    before = list(sys.meta_path)
    watch = ImportWatch(module, print)
    watch.start()

    watch.stop()
    watch.stop()

    assert sys.meta_path == before


def test_the_module_and_the_import_system_keep_no_trace(module: str) -> None:
    before = list(sys.meta_path)
    ImportWatch(module, lambda: None).start()

    imported = importlib.import_module(module)

    assert sys.meta_path == before
    assert imported.__spec__ is not None
    assert imported.__loader__ is imported.__spec__.loader
    assert type(imported.__loader__).__name__ == "SourceFileLoader"


def test_a_module_that_does_not_exist_is_still_missing(module: str) -> None:
    ImportWatch("no_such_module", lambda: None).start()

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        importlib.import_module("no_such_module")


ORIGINS_FROM_THE_FIRST_IMPORT = """
import sys
from pytest_asgi.import_watch import ImportWatch

def remember():
    from pytest_asgi.runner.foreign_loops import LoopOrigins
    global origins
    origins = LoopOrigins()
    origins.install()

ImportWatch("asyncio", remember).start()
assert "asyncio" not in sys.modules

import asyncio
loop = asyncio.new_event_loop()
print(origins.origin(loop).made_by)
import uvloop
other = uvloop.new_event_loop()
print(origins.origin(other).made_by)
loop.close()
other.close()
"""


def test_loops_are_remembered_from_the_first_import_of_asyncio_and_uvloop() -> None:
    command = [sys.executable, "-c", ORIGINS_FROM_THE_FIRST_IMPORT]

    result = subprocess.run(command, capture_output=True, check=True, text=True)

    assert result.stdout.splitlines() == ["asyncio.new_event_loop", "uvloop.new_event_loop"]
