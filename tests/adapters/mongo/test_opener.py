"""Which MongoDB tests get."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_asgi.adapters.mongo import MongoOpener
from pytest_asgi.adapters.mongo import opener as opener_module
from pytest_asgi.adapters.mongo.clients import OwnClient
from pytest_asgi.adapters.mongo.store import MongoStore
from pytest_asgi.database.leftovers import this_machine
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseError, MissingExtraError
from tests.promises import promise

TARGET = Target("mongodb", "", "prod.example.com")

# Answers as `mongod` does, for a Python that starts a server which can be had as a package.
MONGOD = """#!{python}
import asyncio, sys
from mongoeco.engines.memory import MemoryEngine
from mongoeco.wire import AsyncMongoEcoProxyServer

async def serve():
    arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    server = AsyncMongoEcoProxyServer(engine=MemoryEngine(), port=int(arguments["--port"]))
    await server.start()
    await asyncio.Event().wait()

asyncio.run(serve())
"""


@promise("database.named-server-first", "database.marked-only")
def test_a_server_that_is_named_comes_first_and_keeps_what_it_holds(
    store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody: Any = OwnClient(store.address["uri"])
    somebody.shop.items.insert_one({"_id": "precious"})
    monkeypatch.setenv("MONGODB_URL", store.address["uri"])

    for opener in (MongoOpener(), MongoOpener(store.address["uri"])):
        ours = opener.open(TARGET, build=None, key=None)
        assert ours.address["uri"] == store.address["uri"]
        assert ours.address["name"].startswith("asgi_test_")
        assert ours.tables() == []
        name = ours.names.on_server("shop")
        somebody[name].items.insert_one({"_id": "ours"})
        assert ours.select("items", {}) == [{"_id": "ours"}]
        ours.close()
        opener.close()
        assert name not in somebody.list_database_names()

    assert somebody.shop.items.distinct("_id") == ["precious"]
    somebody.drop_database("shop")
    somebody.close()


def test_what_a_killed_process_has_left_is_dropped(store: MongoStore) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    somebody: Any = OwnClient(store.address["uri"])
    left = f"asgi_test_{this_machine()}_{process.pid}_0_shop"
    elsewhere = f"asgi_test_00000000_{process.pid}_0_shop"
    for name in (left, elsewhere):
        somebody[name].items.insert_one({})

    opener = MongoOpener(store.address["uri"])
    opener.open(TARGET, build=None, key=None).close()

    names = somebody.list_database_names()
    assert left not in names
    assert elsewhere in names
    somebody.drop_database(elsewhere)
    somebody.close()


def test_a_mongod_on_the_path_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mongod = tmp_path / "mongod"
    mongod.write_text(MONGOD.format(python=sys.executable), encoding="utf-8")
    mongod.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MONGODB_URL", raising=False)

    opener = MongoOpener()
    store = opener.open(TARGET, build=None, key=None)

    assert store.tables() == []
    assert store.address["name"].startswith("asgi_test_")
    store.close()
    opener.close()


def test_a_named_server_that_does_not_answer_is_an_error_without_the_password(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opener_module, "_ANSWER_MILLISECONDS", 1)
    opener = MongoOpener(f"mongodb://ada:secret@127.0.0.1:{unused_tcp_port}")

    with pytest.raises(DatabaseError, match=rf"127\.0\.0\.1:{unused_tcp_port}") as caught:
        opener.open(TARGET, build=None, key=None)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("missing", ["mongoeco", "pymongo"])
def test_no_server_at_all_is_an_error_with_the_install_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MONGODB_URL", raising=False)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )

    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-asgi\[mongo\]'") as caught:
        MongoOpener().open(TARGET, build=None, key=None)
    assert f"'{missing}'" in str(caught.value)
