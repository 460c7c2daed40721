"""What makes the schema of a private database, and the seed: named by the project, in order.

A step knows how to build and what it is made from; a database that was made from the same things
needs not be built again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_asgi.database.stores import SqlStore


class Step(Protocol):
    """One of the things that make a schema."""

    def build(self, store: SqlStore) -> None:
        """Build it in `store`."""

    def inputs(self) -> bytes | None:
        """Return all that the result depends on, or `None` if that cannot be known."""


class SqlFile:
    """A file of SQL statements."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def build(self, store: SqlStore) -> None:
        """Run the statements."""
        store.run_script(self._path.read_text(encoding="utf-8"))

    def inputs(self) -> bytes:
        """Return the file's content."""
        return self._path.read_bytes()


class Schema:
    """The steps of a project.

    Args:
        steps: What to build, in this order.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._failure: Exception | None = None

    def build(self, store: SqlStore) -> None:
        """Build everything.

        Raises:
            DatabaseError: It has failed before, with an exception that was raised then.
        """
        if self._failure is not None:
            raise _failed_before(self._failure)
        try:
            for step in self._steps:
                step.build(store)
        except Exception as failure:
            self._failure = failure
            raise

    def key(self) -> str | None:
        """Return a digest of what the schema is made from; `None` if a step cannot tell."""
        hashed = hashlib.sha256()
        for step in self._steps:
            inputs = step.inputs()
            if inputs is None:
                return None
            hashed.update(b"%s:%d:" % (type(step).__name__.encode(), len(inputs)) + inputs)
        return hashed.hexdigest()


def _failed_before(failure: Exception) -> DatabaseError:
    return DatabaseError(
        "The test database has no tables: its schema could not be built.",
        why=f"{type(failure).__name__}: {failure}".partition("\n")[0]
        + " (the first test that needed the database shows all of it)",
        fix="Correct what `asgi_schema` names.",
    )
