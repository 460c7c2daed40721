"""Make rows of SQLAlchemy's classes, and the rows that they refer to."""

from __future__ import annotations

import dataclasses
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

from pytest_asgi.adapters.polyfactory import ModelFactory
from pytest_asgi.adapters.sqlalchemy_mappers import mapper_of
from pytest_asgi.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Column, ForeignKeyConstraint, Table
    from sqlalchemy.orm import Mapper, Session

__tracebackhide__ = True  # a failure ends in the user's line


class Maker:
    """Makes rows in one session.

    Args:
        session: Where they are added and flushed; the caller commits.
        seed: What made up values follow from.
    """

    def __init__(self, session: Session, seed: int) -> None:
        self._session = session
        self._seed = seed
        self._making: list[type[Any]] = []

    def make(self, model: type[Any], values: Mapping[str, Any]) -> Any:
        """Return a row with these values; what it needs besides is made up.

        A column is left to the model if it may be empty, has a default, or is counted by the
        database.
        """
        mapper = require_mapper(model)
        _require_attributes(model, values)
        factory = ModelFactory(model, lambda column: _is_needed(column, mapper))
        given = {**_empty_arguments(model, mapper), **values}
        self._making.append(model)
        for constraint in _needed_references(mapper, given):
            given |= self._referred(mapper, constraint)
        self._making.pop()
        made = factory.build(given, self._seed)
        self._session.add(made)
        self._session.flush()
        return made

    def _referred(self, mapper: Mapper[Any], constraint: ForeignKeyConstraint) -> dict[str, Any]:
        """Return the columns of a reference to a new row."""
        parent = _mapper_of_table(mapper, constraint.referred_table)
        if parent is None or parent.class_ in self._making:
            raise _cannot_refer(mapper, constraint)
        row = self.make(parent.class_, {})
        return {
            _attribute(mapper, key.parent): getattr(row, _attribute(parent, key.column))
            for key in constraint.elements
        }


def require_mapper(model: type[Any]) -> Mapper[Any]:
    """Return the mapper of a class whose rows can be made.

    Raises:
        DatabaseError: It is not mapped.
    """
    mapper = mapper_of(model)
    if mapper is None:
        raise DatabaseError(
            f"{model!r} cannot be made.",
            why="`db.make` takes a mapped class of SQLAlchemy's or SQLModel's.",
            fix='Write the row: `db.execute("insert into …")`.',
        )
    return mapper


def _require_attributes(model: type[Any], values: Mapping[str, Any]) -> None:
    """Refuse what the class has not; SQLModel's constructors would not say so."""
    known = {*dir(model), *signature(model.__init__).parameters}
    unknown = next((name for name in values if name not in known), None)
    if unknown is not None:
        columns = [each.key for each in require_mapper(model).attrs]
        similar = get_close_matches(unknown, columns)
        raise DatabaseError(
            f"{model.__name__} has no attribute {unknown!r}.",
            why=f"It has: {', '.join(columns)}.",
            fix=f"Did you mean {similar[0]!r}?" if similar else "Name one of them.",
        )


def _needed_references(
    mapper: Mapper[Any], given: Mapping[str, Any]
) -> Iterable[ForeignKeyConstraint]:
    """Yield the foreign keys that a row cannot be without, and that nobody has given."""
    covered = {
        column
        for relationship in mapper.relationships
        if relationship.key in given
        for column in relationship.local_columns
    }
    for constraint in cast("Table", mapper.local_table).foreign_key_constraints:
        columns = list(constraint.columns)
        if constraint.referred_table in mapper.tables and len(mapper.tables) > 1:
            continue  # what a class inherits is made with it
        if all(
            column not in covered
            and _attribute(mapper, column) not in given
            and not _may_be_left_out(column)
            for column in columns
        ):
            yield constraint


def _is_needed(column: Column[Any], mapper: Mapper[Any]) -> bool:
    """Tell whether a value has to be made up."""
    by_mapper = (mapper.polymorphic_on, mapper.version_id_col)
    is_set_otherwise = any(column is each for each in by_mapper) or bool(column.foreign_keys)
    return not is_set_otherwise and not _may_be_left_out(column)


def _may_be_left_out(column: Column[Any]) -> bool:
    return bool(
        column.nullable
        or column.default is not None
        or column.server_default is not None  # generated and identity columns as well
        or column is column.table.autoincrement_column
    )


def _empty_arguments(model: type[Any], mapper: Mapper[Any]) -> dict[str, None]:
    """Return what the constructor of a mapped dataclass asks for, though it may be empty."""
    if not dataclasses.is_dataclass(model):
        return {}
    missing = dataclasses.MISSING
    return {
        field.name: None
        for field in dataclasses.fields(model)
        if field.init and field.default is missing and field.default_factory is missing
        if field.name in mapper.columns and mapper.columns[field.name].nullable
    }


def _mapper_of_table(mapper: Mapper[Any], table: Table) -> Mapper[Any] | None:
    return next((each for each in mapper.registry.mappers if each.local_table is table), None)


def _attribute(mapper: Mapper[Any], column: Any) -> str:
    return mapper.get_property_by_column(column).key


def _cannot_refer(mapper: Mapper[Any], constraint: ForeignKeyConstraint) -> DatabaseError:
    names = ", ".join(_attribute(mapper, column) for column in constraint.columns)
    table = constraint.referred_table.fullname
    return DatabaseError(
        f"db.make({mapper.class_.__name__}) cannot make the row of {table!r} that it refers to.",
        why="No class stands for that table, or its rows refer back.",
        fix=f"Give a value: `db.make({mapper.class_.__name__}, {names}=…)`.",
    )
