"""What a statement does to a transaction, and what cannot be done inside of one that is shared."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["begin", "commit", "rollback", "deallocate", "plain"]

# What is between quotes, and comments: no words of SQL are in them.
_QUOTED = re.compile(
    r"[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
    r"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
_CONTROL: dict[Kind, re.Pattern[str]] = {
    "begin": re.compile(r"(BEGIN|START TRANSACTION)\b"),
    "commit": re.compile(r"(COMMIT|END)( WORK| TRANSACTION)?( AND NO CHAIN)?$"),
    "rollback": re.compile(r"(ROLLBACK|ABORT)( WORK| TRANSACTION)?( AND NO CHAIN)?$"),
    "deallocate": re.compile(r"DEALLOCATE\b"),
}
_TIME = re.compile(
    r"\b(NOW|TRANSACTION_TIMESTAMP)\s*\(|\b(CURRENT_TIME(STAMP)?|LOCALTIME(STAMP)?)\b"
)
_SESSION_SETTING = re.compile(r"(SET(?! (LOCAL|TRANSACTION|CONSTRAINTS)\b)|RESET|DISCARD)\b")
_LOCAL_SETTING = re.compile(r"^SET LOCAL\b|\bSET_CONFIG\s*\(")

ONE_AT_A_TIME = (
    "a second connection is used while another one is in a transaction",
    "They share one, so the second would see what the first has not committed.",
)
TIME_STANDS_STILL = (
    "a second transaction asks when it began",
    "`now()` and its like tell when the test's own transaction began, in all of the app's.",
)
NOT_IN_A_TRANSACTION = (
    "a statement cannot be in a transaction",
    "PostgreSQL executes it only outside of one, and the whole test is one.",
)

# What PostgreSQL itself answers to what would work without the transaction around it.
CODES_OF_REFUSALS = frozenset({"25001", "2D000", "55P04"})

_REFUSED: tuple[tuple[re.Pattern[str], tuple[str, str]], ...] = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (
            r"\b(SERIALIZABLE|REPEATABLE READ)\b",
            (
                "a transaction asks for another isolation level",
                "The transaction of the test has begun already, with READ COMMITTED.",
            ),
        ),
        (
            r"^(BEGIN|START TRANSACTION|SET)\b.*\bREAD ONLY\b",
            (
                "a transaction asks to be read-only",
                "Then the rest of the test would be, too.",
            ),
        ),
        (
            r"\bPG_(TRY_)?ADVISORY_(XACT_)?LOCK",
            (
                "a statement takes an advisory lock",
                "Whoever should wait for the lock is on the same connection, and has it already.",
            ),
        ),
        (
            r"^(LISTEN|NOTIFY)\b|\bPG_NOTIFY\s*\(",
            (
                "a statement listens or notifies",
                "PostgreSQL delivers at a commit, and there is none.",
            ),
        ),
        (
            r"^CREATE (LOCAL |GLOBAL )?TEMP(ORARY)?\b",
            (
                "a statement makes a temporary table",
                "It would be there on every connection, and stay when its own is closed.",
            ),
        ),
        (
            r"^DECLARE\b.* WITH HOLD\b",
            (
                "a cursor is to outlive its transaction",
                "At what the app takes for a commit, every cursor is closed.",
            ),
        ),
        (
            r"^(PREPARE TRANSACTION|(COMMIT|ROLLBACK) PREPARED)\b",
            (
                "a transaction is prepared for a commit in two phases",
                "It would take the whole test with it.",
            ),
        ),
        (
            r"^(COMMIT|END|ROLLBACK|ABORT)\b.* AND CHAIN$",
            (
                "a transaction is chained to another one",
                "It is no transaction of its own that ends.",
            ),
        ),
    )
)
_SEVERAL = (
    "one text has several statements, and one of them begins or ends a transaction",
    "What is one transaction and what is the next cannot be told apart in it.",
)


class Statement(NamedTuple):
    """What a text asks for.

    Attributes:
        kind: What it does to a transaction.
        text: It, as it was sent.
        parts: Each statement, in capitals and without what is quoted.
        settings: Those of its statements that change settings of the session, as they were sent.
        makes_local_settings: Whether it makes settings that end with the transaction.
        asks_time: Whether it asks for the time at which the transaction began.
        refusal: What cannot be done and why, if that is so.
    """

    kind: Kind
    text: str
    parts: list[str]
    settings: list[str]
    makes_local_settings: bool
    asks_time: bool
    refusal: tuple[str, str] | None

    @property
    def declares_cursor(self) -> bool:
        """Whether there is a cursor after it that ends with the transaction."""
        return any(part.startswith("DECLARE") for part in self.parts)

    @property
    def changes_schema(self) -> bool:
        """Whether constraints may be others after it."""
        return any(part.startswith(("CREATE", "ALTER", "DROP")) for part in self.parts)


def read_statement(text: str) -> Statement:
    """Read what a client has sent."""
    pieces = _split(text)
    parts = [part for part, _ in pieces]
    kinds = [_kind_of(part) for part in parts]
    is_mixed = len(kinds) > 1 and any(kind != "plain" for kind in kinds)
    return Statement(
        kind=kinds[0] if len(kinds) == 1 else "plain",
        text=text,
        parts=parts,
        settings=[piece for part, piece in pieces if _SESSION_SETTING.match(part)],
        makes_local_settings=any(_LOCAL_SETTING.search(part) for part in parts),
        asks_time=any(_TIME.search(part) for part in parts),
        refusal=_SEVERAL if is_mixed else _refusal_of(parts),
    )


def refuse_in_sql(what: str) -> str:
    """Return a statement that fails with a text."""
    message = what.replace("'", "''").replace("%", "%%")
    return f"DO $pytest_asgi$begin raise '{message}' using errcode = '0A000'; end$pytest_asgi$"


def _split(text: str) -> list[tuple[str, str]]:
    """Return each statement twice: in capitals without what is quoted, and as it is."""
    # As long as what it stands for, so that places are the same in both.
    bare = _QUOTED.sub(lambda found: "_" * len(found[0]), _without_comments(text))
    pieces, start = [], 0
    for piece in bare.split(";"):
        words = " ".join(piece.upper().split())
        if words:
            pieces.append((words, text[start : start + len(piece)]))
        start += len(piece) + 1
    return pieces


def _without_comments(text: str) -> str:
    return _QUOTED.sub(
        lambda found: " " * len(found[0]) if found[0][:2] in ("--", "/*") else found[0], text
    )


def _kind_of(part: str) -> Kind:
    return next((kind for kind, words in _CONTROL.items() if words.match(part)), "plain")


def _refusal_of(parts: list[str]) -> tuple[str, str] | None:
    for part in parts:
        for pattern, reason in _REFUSED:
            if pattern.search(part):
                return reason
    return None
