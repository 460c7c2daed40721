"""What a statement is there for."""

import pytest

from pytest_asgi.database.statements import kind_of


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "begin;",
        "BEGIN ISOLATION LEVEL SERIALIZABLE",
        "START TRANSACTION",
        " COMMIT",
        "END",
        "ROLLBACK TO SAVEPOINT a",
        "ABORT",
        "SAVEPOINT a",
        "RELEASE a",
        "-- because\n/* of */ COMMIT",
        "PREPARE TRANSACTION 'a'",
        "SET TRANSACTION READ ONLY",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    ],
)
def test_control_of_transactions_is_no_query(sql: str) -> None:
    assert kind_of(sql) == kind_of(sql, is_upkeep=True) == "transaction"


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "SET search_path TO a", "BEGINNING", "PREPARE a AS b"]
)
def test_the_rest_is(sql: str) -> None:
    assert kind_of(sql) == "query"
    assert kind_of(sql, is_upkeep=True) == "upkeep"
