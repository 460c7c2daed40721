"""Read `asgi_schema`: what makes the tables of the test database."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from pytest_asgi.adapters.alembic import AlembicSchema
from pytest_asgi.adapters.sqlalchemy_schema import MetadataSchema, find_metadata
from pytest_asgi.database.redirect import building
from pytest_asgi.database.schema import Schema, SqlFile
from pytest_asgi.errors import SettingsError
from pytest_asgi.plugin.import_path import NoSuchNameError, import_object

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from pytest_asgi.database.schema import Step
    from pytest_asgi.database.stores import SqlStore

    Wait = Callable[[Coroutine[Any, Any, None]], None]

__tracebackhide__ = True  # a failure ends in the user's line


def read_schema(text: str, root: Path, wait: Wait) -> Schema:
    """Return the schema that the words of `text` name.

    Args:
        text: The value of `asgi_schema`.
        root: The project's folder.
        wait: Waits for the coroutine of an async function.

    Raises:
        SettingsError: A file or a name is not there, or is nothing that makes tables.
    """
    return Schema([_step(word, root, wait) for word in text.split()])


def _step(word: str, root: Path, wait: Wait) -> Step:
    if word.endswith((".sql", ".ini")):
        path = root / word
        if not path.is_file():
            raise _not_found(word, f"There is no file {path}.")
        return SqlFile(path) if word.endswith(".sql") else AlembicSchema(path)
    try:
        thing = _import(word, root)
    except (NoSuchNameError, ModuleNotFoundError) as error:
        raise _not_found(word, f"{error}.") from error
    metadata = find_metadata(thing)
    if metadata is not None:
        return MetadataSchema(metadata)
    if callable(thing):
        return _Function(thing, wait)
    raise _not_found(word, f"It is {thing!r}, which makes no tables.")


def _import(word: str, root: Path) -> Any:
    package = word.partition(":")[0].partition(".")[0]
    in_src = root / "src"
    is_there = (in_src / package).is_dir() or (in_src / f"{package}.py").is_file()
    return import_object(word, root=in_src if is_there else root)


class _Function:
    """A function of the project's, async or not, that takes nothing or the URL of the database."""

    def __init__(self, function: Callable[..., Any], wait: Wait) -> None:
        self._function = function
        self._wait = wait

    def build(self, store: SqlStore) -> None:
        """Call it; whatever it connects to is the store."""
        takes_url = bool(inspect.signature(self._function).parameters)
        arguments = [store.engine_url(asynchronous=False)] if takes_url else []
        with building(store):
            made = self._function(*arguments)
        if inspect.iscoroutine(made):
            self._wait(_building(made, store))

    def inputs(self) -> bytes | None:
        """Return nothing: a function may read anything."""
        return None


async def _building(coroutine: Coroutine[Any, Any, None], store: SqlStore) -> None:
    # It runs in a task whose context is not the caller's.
    with building(store):
        await coroutine


def _not_found(word: str, why: str) -> SettingsError:
    return SettingsError(
        f"asgi_schema names {word!r}, which makes no tables.",
        why=why,
        fix="Name SQLAlchemy metadata or a function as `module:name`, an `alembic.ini`, or a"
        " `.sql` file, relative to the project's folder; several are separated by spaces.",
    )
