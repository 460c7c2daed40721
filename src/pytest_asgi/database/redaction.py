"""Keep secrets out of what is remembered about statements, by the names of columns and parameters.

A value counts as a secret if the column that it is written to or compared with, or the parameter
itself, is called like one. Values that are nowhere near such a name are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

REDACTED = "(redacted)"

_SECRET = re.compile(
    r"passw|passphrase|\bpwd\b|_pwd|pwd_|secret|token|api_?key|private_?key|access_?key|credential"
    r"|authorization|\botp|totp|\bcvv|card_?number|iban\b|\bssn\b",
    re.IGNORECASE,
)

# What a statement is made of, as far as it matters here. A number after `$` is a position, so is
# each `%s` and `?`; `%(name)s` and `:name` are names, but `::type` is a cast.
_TOKENS = re.compile(
    r"""
      (?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<literal>'(?:[^']|'')*')
    | \$(?P<number>\d+)
    | (?P<format>%s|%b|%t|\?)
    | %\((?P<named>\w+)\)[sbt]
    | (?P<cast>::)
    | (?<!:):(?P<colon>[A-Za-z_]\w*)
    | "(?P<quoted>(?:[^"]|"")+)"
    | `(?P<ticked>[^`]+)`
    | (?P<word>[A-Za-z_]\w*)
    | (?P<operator><>|!=|>=|<=|=|<|>)
    | (?P<mark>[(),;])
    """,
    re.VERBOSE | re.DOTALL,
)
_ENDS = frozenset(
    [
        "AND",
        "OR",
        "WHERE",
        "SET",
        "FROM",
        "RETURNING",
        "ON",
        "HAVING",
        "ORDER",
        "GROUP",
        "LIMIT",
        "OFFSET",
        "UNION",
    ]
)
_COMPARES = frozenset({"LIKE", "ILIKE", "IN", "IS"})


class _Secrets(NamedTuple):
    """Where in a statement secrets are.

    Attributes:
        sql: The statement without those that are written into it.
        parameters: The positions, from 0 on, and names of those that are parameters.
    """

    sql: str
    parameters: frozenset[int | str]


def redact_statement(sql: str, parameters: Any) -> tuple[str, Any]:
    """Return a statement and its parameters without secrets.

    Args:
        sql: The statement, with placeholders as any driver writes them.
        parameters: A sequence or a mapping, or nothing.
    """
    secrets = _find_secrets(sql)
    if isinstance(parameters, Mapping):
        return secrets.sql, {
            name: REDACTED if name in secrets.parameters or is_secret(str(name)) else value
            for name, value in parameters.items()
        }
    if secrets.parameters and isinstance(parameters, Sequence):
        return secrets.sql, tuple(
            REDACTED if position in secrets.parameters else value
            for position, value in enumerate(parameters)
        )
    return secrets.sql, parameters


def is_secret(name: str) -> bool:
    """Tell whether something with this name holds a secret."""
    return _SECRET.search(name) is not None


@lru_cache(maxsize=1024)
def _find_secrets(sql: str) -> _Secrets:
    if not is_secret(sql):
        return _Secrets(sql, frozenset())
    return _Reader(sql).read()


class _Reader:
    """Reads one statement from left to right, and knows which column a value belongs to."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._depth = 0
        self._name = ""  # the last one that was read
        self._column = ""  # what is being assigned or compared
        self._column_depth = 0
        self._listed: list[str] = []  # the columns of INSERT
        self._listing: int | None = None  # the depth of their list
        self._row: int | None = None  # the depth of the rows behind VALUES
        self._index = 0  # of the value in its row
        self._next = 0  # position
        self._found: set[int | str] = set()
        self._literals: list[tuple[int, int]] = []

    def read(self) -> _Secrets:
        """Return where the secrets are."""
        for token in _TOKENS.finditer(self._sql):
            getattr(self, f"_read_{token.lastgroup}")(token)
        pieces, end = [], 0
        for start, stop in self._literals:
            pieces += [self._sql[end:start], f"'{REDACTED}'"]
            end = stop
        return _Secrets("".join([*pieces, self._sql[end:]]), frozenset(self._found))

    @property
    def _is_secret(self) -> bool:
        if self._column:
            return is_secret(self._column)
        is_in_row = self._row is not None and self._depth >= self._row
        return (
            is_in_row and self._index < len(self._listed) and is_secret(self._listed[self._index])
        )

    # --- values ---------------------------------------------------------------------------------

    def _read_literal(self, token: re.Match[str]) -> None:
        if self._is_secret:
            self._literals.append(token.span())

    def _read_number(self, token: re.Match[str]) -> None:
        self._note(int(token["number"]) - 1)

    def _read_format(self, _: re.Match[str]) -> None:
        self._note(self._next)
        self._next += 1

    def _read_named(self, token: re.Match[str]) -> None:
        self._note(token["named"])

    def _read_colon(self, token: re.Match[str]) -> None:
        self._note(token["colon"])

    def _note(self, parameter: int | str) -> None:
        if self._is_secret:
            self._found.add(parameter)

    # --- names ----------------------------------------------------------------------------------

    def _read_quoted(self, token: re.Match[str]) -> None:
        self._take_name(token["quoted"])

    def _read_ticked(self, token: re.Match[str]) -> None:
        self._take_name(token["ticked"])

    def _read_word(self, token: re.Match[str]) -> None:
        word = token["word"].upper()
        if word == "INTO":
            self._listing = self._depth + 1
            self._listed = []
        elif word == "VALUES":
            self._listing, self._row, self._column = None, self._depth + 1, ""
        elif word in _ENDS:
            self._column = ""
            if self._row is not None and self._depth < self._row:
                self._row = None
        elif word == "PASSWORD" and self._listing is None:
            self._take_name(token["word"])
            self._assign()  # ALTER ROLE app PASSWORD '…'
        elif word in _COMPARES:
            self._assign()
        else:
            self._take_name(token["word"])

    def _take_name(self, name: str) -> None:
        self._name = name
        if self._listing == self._depth:
            self._listed.append(name)

    def _assign(self) -> None:
        self._column, self._column_depth = self._name, self._depth

    def _read_operator(self, _: re.Match[str]) -> None:
        self._assign()

    # --- the rest -------------------------------------------------------------------------------

    def _read_mark(self, token: re.Match[str]) -> None:
        mark = token["mark"]
        if mark == "(":
            self._depth += 1
            if self._depth == self._row:
                self._index = 0
        elif mark == ")":
            if self._listing == self._depth:
                self._listing = None
            self._depth -= 1
            if self._depth < self._column_depth:
                self._column = ""
        elif self._depth <= self._column_depth:
            self._column = ""
        if mark == "," and self._depth == self._row:
            self._index += 1

    def _read_comment(self, _: re.Match[str]) -> None:
        """Comments have no values."""

    def _read_cast(self, _: re.Match[str]) -> None:
        """The type that follows is no name of a column."""
