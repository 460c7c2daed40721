"""Whatever is done to the keys, and in whatever order: a mark is what it was."""

from __future__ import annotations

from typing import Any

import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pytest_asgi.adapters.redis import RedisOpener
from pytest_asgi.database.targets import Target
from tests.promises import promise

_KEYS = st.sampled_from(["a", "b", "c"])
_VALUES = st.sampled_from(["", "x", "long" * 50])
Content = dict[str, list[dict[str, Any]]]


class Keys(RuleBasedStateMachine):
    opener: RedisOpener

    def __init__(self) -> None:
        super().__init__()
        self.store = self.opener.open(Target("redis", "0", "any-order"), build=None, key=None)
        self.client: Any = redis.Redis(**self.store.address)
        self.marks = [(self.store.mark(), self.content())]

    def content(self) -> Content:
        return {kind: self.store.select(kind, {}) for kind in self.store.tables()}

    @rule(key=_KEYS, value=_VALUES)
    def put(self, key: str, value: str) -> None:
        self.client.set(key, value)

    @rule(key=_KEYS, value=_VALUES)
    def put_with_lifetime(self, key: str, value: str) -> None:
        self.client.set(key, value, ex=10_000)

    @rule(key=_KEYS, value=_VALUES)
    def push(self, key: str, value: str) -> None:
        self.client.delete(key)
        self.client.rpush(key, value, "another")

    @rule(key=_KEYS, value=_VALUES)
    def hset(self, key: str, value: str) -> None:
        with self.client.pipeline() as pipeline:
            pipeline.delete(key).hset(key, value, "1").execute()

    @rule(key=_KEYS, other=_KEYS)
    def copy(self, key: str, other: str) -> None:
        if key != other:
            self.client.copy(key, other, replace=True)

    @rule(key=_KEYS)
    def delete(self, key: str) -> None:
        self.client.delete(key)

    @rule(key=_KEYS)
    def persist(self, key: str) -> None:
        self.client.persist(key)

    @rule()
    def flush(self) -> None:
        self.client.flushdb()

    @precondition(lambda self: len(self.marks) < 4)
    @rule()
    def mark(self) -> None:
        self.marks.append((self.store.mark(), self.content()))

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.marks) - 1))
        mark, content = self.marks[index]
        self.store.restore(mark)
        del self.marks[index + 1 :]
        assert self.content() == content
        assert self.store.changes(mark) == {}

    def teardown(self) -> None:
        self.client.close()
        self.store.close()


@promise("database.redis-restored")
def test_a_mark_is_what_it_was(opener: RedisOpener) -> None:
    class KeysOfThisServer(Keys):
        pass

    KeysOfThisServer.opener = opener
    run_state_machine_as_test(
        KeysOfThisServer,
        settings=settings(max_examples=40, stateful_step_count=25, deadline=None),
    )
