"""An object is found where a line of the user's code can reach it, and called what it says."""

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.runner.foreign_loops.errors import (
    Explain,
    closed,
    contended_lock,
    failure,
    pending_future,
    required,
    unwrapped,
    use_it,
)


class Slotted:
    __slots__ = ("empty", "thing")

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        pytest.param(Slotted, "`holder.thing`", id="slot"),
        pytest.param(lambda thing: [0, {"main": (thing,)}], "`holder[1]['main'][0]`", id="nested"),
        pytest.param(lambda thing: {(1, 2): thing}, "`holder[…]`", id="key"),
        pytest.param(lambda thing: {thing}, "`holder[…]`", id="set"),
        pytest.param(
            lambda thing: Slotted(Slotted(thing)).method, "`holder.thing.thing`", id="bound"
        ),
    ],
)
def test_an_object_is_found_inside_of_objects_and_containers(
    wrap: Callable[[object], object], path: str, note: Callable[..., str]
) -> None:
    thing = asyncio.run(pending_future())
    use = iter(thing)
    holder = wrap(thing)
    del thing

    async def test() -> None:
        use_it(holder, use)

    assert f"{path}, of type asyncio.Future" in note(test)


def test_code_of_the_users_objects_never_runs(note: Callable[..., str]) -> None:
    touched = []

    class Touchy:
        def __init__(self) -> None:
            self.future = asyncio.run(pending_future())

        @property
        def loop(self) -> object:
            touched.append("property")
            return None

        def __getattr__(self, name: str) -> object:
            touched.append(name)
            return None

        def __getattribute__(self, name: str) -> object:
            touched.append(name)
            return object.__getattribute__(self, name)

        def __eq__(self, other: object) -> bool:
            touched.append("__eq__")
            return True

        def __hash__(self) -> int:
            touched.append("__hash__")
            return 0

        def __repr__(self) -> str:
            touched.append("__repr__")
            return "touched"

    touchy = Touchy()

    async def test() -> None:
        touched.clear()
        use_it(touchy, None)

    assert "`holder.future`" in note(test)
    assert touched == []


def test_an_attribute_dictionary_that_is_a_property_is_not_read(note: Callable[..., str]) -> None:
    class Lying:
        @property
        def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
            pytest.fail("the property was read")

    lying = Lying()

    async def test() -> None:
        use_it(lying, None)

    assert note(test).startswith("An object belongs to one event loop")


def test_an_object_too_deep_inside_of_others_is_not_looked_for(note: Callable[..., str]) -> None:
    holder: object = asyncio.run(pending_future())
    for _ in range(50):
        holder = [holder]

    async def test() -> None:
        use_it(holder, None)

    assert note(test).startswith("An object belongs to one event loop")


def test_an_object_behind_thousands_of_others_is_not_looked_for(note: Callable[..., str]) -> None:
    thing: object = asyncio.run(pending_future())
    holder: list[Any] = [[[[] for _ in range(20)] for _ in range(20)] for _ in range(20)]
    holder[-1][-1][-1].append(thing)
    del thing

    async def test() -> None:
        use_it(holder, None)

    assert note(test).startswith("An object belongs to one event loop")


def test_a_long_list_does_not_hide_what_stands_beside_it(note: Callable[..., str]) -> None:
    thing = asyncio.run(pending_future())
    long_list = [object() for _ in range(5000)]

    async def test() -> None:
        use_it(long_list, [[thing]])

    assert note(test).startswith("`use[0][0]` belongs to")


def test_what_pytest_holds_explains_nothing(note: Callable[..., str]) -> None:
    session = type("Session", (), {"__module__": "_pytest.main"})()
    session.thing = asyncio.run(pending_future())
    frames = {"use_it": use_it, "__name__": "_pytest.runner"}
    exec("def call_hook(thing): use_it(None, None)", frames)

    async def test() -> None:
        assert session
        frames["call_hook"](session.thing)  # type: ignore[operator]

    assert note(test).startswith("An object belongs to one event loop")


WORKERS: dict[str, "Worker"] = {}


def test_what_pytest_keeps_of_an_assertion_is_no_name(
    note: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WORKERS, "one", asyncio.run(Worker.start()))

    async def test() -> None:
        assert WORKERS["one"].work() is None  # type: ignore[func-returns-value]

    assert note(test).startswith("`WORKERS['one']` belongs to an event loop that is closed.")


REPOSITORY_WITH_A_GLOBAL_OF_THE_SAME_NAME = """\
import asyncio

async def make():
    return asyncio.get_running_loop().create_future()

future = asyncio.run(make())

class Repository:
    def __init__(self):
        self.future = future

    async def use(self):
        await self.future

repository = Repository()
"""


def test_an_attribute_is_told_from_a_global_of_the_same_name(
    world: Callable[[str, str], ModuleType], note: Callable[..., str]
) -> None:
    module = world("repository", REPOSITORY_WITH_A_GLOBAL_OF_THE_SAME_NAME)

    assert note(module.repository.use).startswith("`self.future` belongs to")


def test_the_very_object_that_complained_is_named_before_others_of_its_loop(
    note: Callable[..., str], other_loop: asyncio.AbstractEventLoop
) -> None:
    innocent = other_loop.run_until_complete(pending_future())
    lock = other_loop.run_until_complete(contended_lock())

    async def test() -> None:
        assert not innocent.done()
        await lock.acquire()

    assert note(test).startswith("`lock` belongs to")


def test_when_a_loop_is_said_to_be_closed_an_object_of_a_closed_loop_is_named(
    note: Callable[..., str], other_loop: asyncio.AbstractEventLoop
) -> None:
    innocent = other_loop.run_until_complete(pending_future())
    thing = asyncio.run(pending_future())

    async def test() -> None:
        assert not innocent.done()
        assert not thing.done()
        raise closed()

    assert note(test).startswith("`thing` belongs to")


def test_a_future_that_was_never_initialised_does_no_harm(note: Callable[..., str]) -> None:
    empty = asyncio.Future.__new__(asyncio.Future)
    thing = asyncio.run(pending_future())

    async def test() -> None:
        use_it([empty, thing], None)

    assert "`holder[1]`, of type asyncio.Future" in note(test)


class Worker:
    """Keeps the loop that it was started in."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()

    @classmethod
    async def start(cls) -> "Worker":
        return cls()

    def work(self) -> None:
        self.loop.call_soon(print)


def test_an_object_of_the_users_own_class_is_named_by_the_code_around_it(
    note: Callable[..., str],
) -> None:
    worker = asyncio.run(Worker.start())

    async def test() -> None:
        worker.work()

    text_of_note = note(test)

    assert text_of_note.startswith("`worker` belongs to an event loop that is closed.")
    assert "              worker.work()\n" in text_of_note
    assert "        worker = await Worker.start()" in text_of_note


def test_an_object_that_nobody_else_names_calls_itself_self(note: Callable[..., str]) -> None:
    workers = iter([asyncio.run(Worker.start())])

    async def test() -> None:
        next(workers).work()

    text_of_note = note(test)

    assert text_of_note.startswith("`self` belongs to an event loop that is closed.")
    assert "@pytest.fixture" not in text_of_note


HIDING_LIBRARY = """\
import asyncio

async def connect():
    return asyncio.get_running_loop().create_future()

CONNECTION = asyncio.run(connect())

async def use():
    await CONNECTION

class Client:
    async def use(self):
        await CONNECTION
"""


def test_an_object_that_only_a_library_names_is_told_by_its_type(
    world: Callable[[str, str], ModuleType], note: Callable[..., str]
) -> None:
    library = world("site-packages/hiding_library", HIDING_LIBRARY)

    async def test() -> None:
        await library.use()

    text_of_note = note(test)

    assert "An object of type asyncio.Future belongs to" in text_of_note
    assert "  object  " not in text_of_note
    assert "              await library.use()\n" in text_of_note
    assert "made by asyncio.run in site-packages/hiding_library.py:6 at" in unwrapped(text_of_note)


def test_a_traceback_without_a_line_of_the_users_is_explained_without_one(
    world: Callable[[str, str], ModuleType],
    session_loop: asyncio.AbstractEventLoop,
    note_of: Explain,
) -> None:
    library = world("site-packages/hiding_library", HIDING_LIBRARY)
    error = failure(lambda: session_loop.run_until_complete(library.use()))
    assert error.__traceback__ is not None
    assert error.__traceback__.tb_next is not None

    error.__traceback__ = error.__traceback__.tb_next.tb_next  # without this test's

    text_of_note = required(note_of(error))
    assert "An object of type asyncio.Future belongs to" in text_of_note
    assert "  used at " not in text_of_note


def test_an_object_that_only_a_library_names_is_told_by_what_the_user_called(
    world: Callable[[str, str], ModuleType], note: Callable[..., str]
) -> None:
    library = world("site-packages/hiding_library", HIDING_LIBRARY)
    clients = [library.Client()]

    async def test() -> None:
        await clients[0].use()

    text_of_note = note(test)

    assert "  object    `clients[0]`, of type hiding_library.Client\n" in text_of_note
    assert "  through   an object of type asyncio.Future\n" in text_of_note
    assert "@pytest.fixture" not in text_of_note


def test_the_line_in_the_app_is_shown_rather_than_the_one_in_the_test(
    note: Callable[..., str],
) -> None:
    class Repository:
        def __init__(self, lock: asyncio.Lock) -> None:
            self.lock = lock

        async def save(self) -> None:
            await self.lock.acquire()

    lock = asyncio.run(contended_lock())

    async def test() -> None:
        await Repository(lock).save()

    text_of_note = note(test)

    assert "`self.lock`, of type asyncio.locks.Lock" in text_of_note
    assert " in Repository.save await self.lock.acquire()" in unwrapped(text_of_note)
