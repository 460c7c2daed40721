"""Rows of Python values, from the images that the log of a database keeps of them.

Most images tell everything themselves; of the others the server makes rows again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_asgi.adapters.postgres.connection import Connection

# PostgreSQL does not notice that a row's type changes: the version is there to make it another
# statement then.
_IMAGES = """
    select /* {version} */
        pytest_asgi_side, pytest_asgi_seq, columns.*{virtuals}
    from (
        select *, pytest_asgi_image::{relation} as pytest_asgi_row
        from (
            select 0, seq, old from pytest_asgi.log where seq = any($1)
            union all
            select 1, seq, new from pytest_asgi.log where seq = any($2)
        ) images (pytest_asgi_side, pytest_asgi_seq, pytest_asgi_image)
        offset 0
    ) rows, lateral (select (pytest_asgi_row).*) columns
"""
_COLUMNS = "select columns, types from pytest_asgi.tracked where rel = $1 and version = $2"
# 8.16.6 of https://www.postgresql.org/docs/current/rowtypes.html: what is in quotes has its quotes
# and backslashes twice, and what is null is nothing, without quotes.
_FIELD = re.compile(r'[(,](?:"((?:[^"\\]|""|\\\\)*)"|([^,()"]*))')
_TWICE = re.compile(r'(["\\])\1')


class Kind(NamedTuple):
    """What rows have in common.

    Attributes:
        rel: The table.
        relation: How SQL writes it.
        virtuals: What computes its columns that are not kept.
        version: Another one when the columns may be others.
        is_readable: Whether an image tells everything.
    """

    rel: int
    relation: str
    virtuals: str
    version: int
    is_readable: bool


class Wanted(NamedTuple):
    """Which of a log's entries have the image that is wanted, and the image.

    Attributes:
        side: `OLD` or `NEW`.
        seq: The entry's number.
        text: The image.
    """

    side: int
    seq: int
    text: str


OLD, NEW = 0, 1

Rows = dict[tuple[int, int], dict[str, Any]]
"""Rows by the side and the number of the log's entry that had their image."""


def read_rows(connection: Connection, kind: Kind, wanted: Sequence[Wanted]) -> Rows | None:
    """Return the rows, or nothing if their images do not tell everything."""
    if not kind.is_readable:
        return None
    names, types = connection.call_once(_COLUMNS, (str(kind.rel), str(kind.version)))[0]
    images = [[*_fields_of(each.text)] for each in wanted]
    if any(len(image) != len(names) for image in images):
        return None
    try:
        values = connection.load(types, images)
    except psycopg.DataError:
        return None  # as of a moment that is out of range in the time zone that wrote it
    return {
        (each.side, each.seq): dict(zip(names, row, strict=True))
        for each, row in zip(wanted, values, strict=True)
    }


def ask_for_rows(connection: Connection, kind: Kind, wanted: Iterable[Wanted]) -> Rows:
    """Return the rows as the server makes them; it waits for who has locked the table."""
    statement = _IMAGES.format(
        relation=kind.relation, virtuals=kind.virtuals, version=kind.version
    )
    seqs: dict[int, list[str]] = {OLD: [], NEW: []}
    for each in wanted:
        seqs[each.side].append(str(each.seq))
    arrays = [f"{{{','.join(numbers)}}}" for numbers in seqs.values()]
    names, rows = connection.call(statement, arrays)
    return {(side, seq): dict(zip(names[2:], values, strict=True)) for side, seq, *values in rows}


def _fields_of(image: str) -> Iterator[bytes | None]:
    """Yield the columns' values, as the server writes them."""
    for field in _FIELD.finditer(image):
        quoted, bare = field.groups()
        if quoted is not None:
            yield _TWICE.sub(r"\1", quoted).encode()
        else:
            yield bare.encode() or None
