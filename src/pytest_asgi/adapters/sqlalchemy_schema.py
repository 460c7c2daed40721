"""A schema that SQLAlchemy's metadata describes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from pytest_asgi.database.redirect import building

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from pytest_asgi.database.stores import SqlStore


def find_metadata(thing: object) -> MetaData | None:
    """Return the metadata that `thing` is, or has, as a declarative base does."""
    if "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy import MetaData

    for candidate in (thing, getattr(thing, "metadata", None)):
        if isinstance(candidate, MetaData):
            return candidate
    return None


class MetadataSchema:
    """Creates all tables of some metadata."""

    def __init__(self, metadata: MetaData) -> None:
        self._metadata = metadata

    def build(self, store: SqlStore) -> None:
        """Create the tables."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        engine = create_engine(store.engine_url(asynchronous=False), poolclass=NullPool)
        with building(store):
            self._metadata.create_all(engine)
        engine.dispose()

    def inputs(self) -> bytes:
        """Return the statements that create the tables."""
        from sqlalchemy import create_mock_engine

        statements: list[str] = []

        def keep(statement: Any, *_: object, **__: object) -> None:
            statements.append(str(statement.compile(dialect=engine.dialect)))

        # Only the wording matters, and that it differs when the tables do.
        engine = create_mock_engine("postgresql+psycopg://", cast("Any", keep))
        self._metadata.create_all(engine, checkfirst=False)
        return "\n".join(statements).encode()
