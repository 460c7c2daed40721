"""What is remembered of a statement holds no secrets, as far as names tell what one is."""

from typing import Any

import pytest

from pytest_asgi.database.redaction import REDACTED, redact_statement

SECRET = "geheim"


# As SQLAlchemy writes it.
_INSERT_MANY = """INSERT INTO users (id, token) SELECT p0::INTEGER, p1::VARCHAR
FROM (VALUES ($1, $2, 0)) AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter"""


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("INSERT INTO users (id, password) VALUES ($1, $2)", (1, SECRET)),
        ("INSERT INTO users (id, password) VALUES (%s, %s)", (1, SECRET)),
        ("INSERT INTO users (id, password) VALUES (?, ?)", (1, SECRET)),
        ("INSERT INTO users (id, password) VALUES (:p1, :p2)", {"p1": 1, "p2": SECRET}),
        ("INSERT INTO users (id, password) VALUES (%(a)s, %(b)s)", {"a": 1, "b": SECRET}),
        ('INSERT INTO "users" ("id", "API_key") VALUES ($1::INT, $2::VARCHAR)', (1, SECRET)),
        ("INSERT INTO `users` (`id`, `pwd_hash`) VALUES (%s, %s)", (1, SECRET)),
        ("INSERT INTO users (id, secret) VALUES ($1, crypt($2, salt()))", (1, SECRET)),
        ("INSERT INTO users (id, secret) VALUES (coalesce($1, 0), $2) RETURNING id", (1, SECRET)),
        ("UPDATE users SET id = $1, session_token = $2 WHERE id = $1", (1, SECRET)),
        ("UPDATE users SET session_token=$2 WHERE id=$1", (1, SECRET)),
        ("SELECT 1 FROM users WHERE id > $1 AND u.access_token = $2::TEXT", (1, SECRET)),
        ("SELECT 1 FROM users WHERE id = %s AND token LIKE %s", (1, SECRET)),
        ("DELETE FROM users WHERE id < ? AND token IN (?)", (1, SECRET)),
        ("-- the token = $1\nUPDATE users SET a = $1, token = $2", (1, SECRET)),
        ("/* token = $1 */ UPDATE users SET a = $1, token = $2", (1, SECRET)),
        (_INSERT_MANY, (1, SECRET)),
        ("SELECT 1 FROM users WHERE token = $2 LIMIT $1", (1, SECRET)),
    ],
)
def test_a_secret_parameter_is_redacted_and_no_other(sql: str, parameters: Any) -> None:
    kept, redacted = redact_statement(sql, parameters)

    assert kept == sql
    values = list(redacted.values()) if isinstance(redacted, dict) else list(redacted)
    assert values == [1, REDACTED]


def test_in_several_rows_each_secret_is_redacted() -> None:
    sql = "INSERT INTO users (token, id) VALUES ($1, $2), ($3, $4)"

    assert redact_statement(sql, (SECRET, 1, SECRET, 2))[1] == (REDACTED, 1, REDACTED, 2)


def test_in_a_list_each_secret_is_redacted() -> None:
    sql = "SELECT 1 FROM users WHERE token IN ($1, $2) AND id = $3"

    assert redact_statement(sql, (SECRET, SECRET, 1))[1] == (REDACTED, REDACTED, 1)


def test_a_parameter_by_a_secret_name_is_redacted_whatever_the_statement_says() -> None:
    assert redact_statement("SELECT f(:password_1)", {"password_1": SECRET, "id": 1})[1] == {
        "password_1": REDACTED,
        "id": 1,
    }


@pytest.mark.parametrize(
    ("sql", "redacted"),
    [
        ("ALTER ROLE app PASSWORD 'geheim'", f"ALTER ROLE app PASSWORD '{REDACTED}'"),
        (
            "UPDATE u SET name = 'Ada', token = 'it''s' WHERE id = 1",
            f"UPDATE u SET name = 'Ada', token = '{REDACTED}' WHERE id = 1",
        ),
        (
            "INSERT INTO u (name, token) VALUES ('Ada', 'geheim'), ('Bob', 'x')",
            f"INSERT INTO u (name, token) VALUES ('Ada', '{REDACTED}'), ('Bob', '{REDACTED}')",
        ),
        ("SELECT token FROM u WHERE name = 'Ada'", "SELECT token FROM u WHERE name = 'Ada'"),
    ],
)
def test_a_secret_that_is_written_into_the_statement_is_redacted(sql: str, redacted: str) -> None:
    assert redact_statement(sql, ()) == (redacted, ())


def test_what_has_no_secret_stays_the_very_same() -> None:
    parameters = [1, "Ada"]

    assert (
        redact_statement("UPDATE users SET name = $2 WHERE id = $1", parameters)[1] is parameters
    )
