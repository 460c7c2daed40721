"""`drivers.install` changes a driver once somebody has imported it, and puts it back."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_asgi.adapters import drivers
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.database.stores import Store
from pytest_asgi.database.targets import Target

_ADAPTER = """
import some_driver

def install(redirect):
    before, some_driver.connect = some_driver.connect, redirect
    def uninstall():
        some_driver.connect = before
    return uninstall
"""
_ADAPTERS = (("some_driver", "some_adapter"),)


def _open_nothing(target: Target) -> Store:
    raise AssertionError(target)


def _connect_of(driver: ModuleType) -> object:
    return driver.connect


@pytest.fixture(autouse=True)
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_driver.py").write_text("connect = 'the original'\n", encoding="utf-8")
    (tmp_path / "some_adapter.py").write_text(_ADAPTER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in ("some_driver", "some_adapter"):
        monkeypatch.setitem(sys.modules, name, sys)  # forgotten in the end
        monkeypatch.delitem(sys.modules, name)


def test_a_driver_is_changed_when_it_is_imported_and_put_back_in_the_end() -> None:
    redirect = Redirect(_open_nothing)
    uninstall = drivers.install(redirect, _ADAPTERS)
    assert "some_driver" not in sys.modules

    driver = importlib.import_module("some_driver")
    assert _connect_of(driver) is redirect

    uninstall()
    assert _connect_of(driver) == "the original"


def test_a_driver_that_was_imported_before_is_changed_at_once() -> None:
    driver = importlib.import_module("some_driver")

    for _ in range(2):
        redirect = Redirect(_open_nothing)
        uninstall = drivers.install(redirect, _ADAPTERS)
        assert _connect_of(driver) is redirect
        uninstall()
        assert _connect_of(driver) == "the original"


def test_a_driver_that_is_imported_afterwards_stays_as_it_is() -> None:
    uninstall = drivers.install(Redirect(_open_nothing), _ADAPTERS)
    uninstall()

    driver = importlib.import_module("some_driver")

    assert _connect_of(driver) == "the original"
