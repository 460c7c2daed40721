"""What is told about the statements that an app executes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_asgi import events
from pytest_asgi.database.queries import RecordedQueries, generalize
from pytest_asgi.errors import DatabaseError, VerificationError
from tests.promises import promise

_PLACE = ("/app/shop.py", 30, "list")


def _execute(
    sql: str,
    parameters: Any = (),
    *,
    exchange: int | None = None,
    place: tuple[str, int, str] | None = _PLACE,
    **fields: Any,
) -> None:
    token = events.exchange.set(exchange)
    fields = {"batch": None, "seconds": 0.001, "rows": 1, "exception": None, **fields}
    fields = {"kind": "query", "connection": 1, **fields}
    events.emit(events.StatementExecuted(sql=sql, parameters=parameters, place=place, **fields))
    events.exchange.reset(token)


@pytest.fixture
def recorded() -> Any:
    queries = RecordedQueries()
    with events.heard_by(queries.hear):
        yield queries


def test_statements_are_kept_in_their_order(recorded: RecordedQueries) -> None:
    _execute("select 1")
    _execute("BEGIN", kind="transaction")
    _execute("select 2", (3,), rows=5, exchange=7)

    assert [query.sql for query in recorded] == ["select 1", "select 2"]
    assert len(recorded) == 2
    assert recorded[1].parameters == (3,)
    assert recorded[1].rows == 5
    assert recorded[1].exchange == 7
    assert recorded[1].place == _PLACE
    assert [query.sql for query in recorded[:1]] == ["select 1"]
    assert repr(recorded) == "<2 queries>"
    assert repr(recorded[:1]) == "<1 query>"


def test_they_are_shown_a_line_each(recorded: RecordedQueries) -> None:
    assert str(recorded) == "no queries"

    _execute("select *\n  from users\n  where id = ?", (3,))
    _execute("select 2", rows=None, place=None, exception=LookupError())

    assert str(recorded).splitlines() == [
        "  1. 1.0 ms  1 row  select * from users where id = ?  (3,)  at /app/shop.py:30 in list",
        "  2. 1.0 ms  select 2  LookupError",
    ]


def test_of_very_many_the_first_are_shown(recorded: RecordedQueries) -> None:
    for _ in range(25):
        _execute("select 1", rows=2)

    assert str(recorded).splitlines()[-1] == "     and 5 more"


@promise("database.queries-at-most")
def test_more_than_a_block_may_execute_fails_and_lists_them(recorded: RecordedQueries) -> None:
    _execute("select 'before the block'")

    block = recorded.at_most(2)
    executed = block.__enter__()
    _execute("select * from orders")
    _execute("select * from users where id = 1")
    _execute("select * from users where id = 2")
    with pytest.raises(VerificationError) as raised:
        block.__exit__(None, None, None)

    assert len(executed) == 3
    assert raised.value.what == "The app executed 3 queries; at most 2 expected."
    assert "3. 1.0 ms  1 row  select * from users where id = 2" in raised.value.why
    assert "2 times  select * from users where id = ?" in raised.value.why
    assert "selectinload" in raised.value.fix


def test_without_a_repetition_no_join_is_advised(recorded: RecordedQueries) -> None:
    with pytest.raises(VerificationError) as raised, recorded.at_most(0):
        _execute("select * from orders")

    assert raised.value.what == "The app executed 1 query; at most 0 expected."
    assert "selectinload" not in raised.value.fix


def test_a_block_that_keeps_to_it(recorded: RecordedQueries) -> None:
    with recorded.at_most(1) as block:
        _execute("select 1")

    assert len(block) == 1


def test_a_block_that_fails_raises_its_own_error(recorded: RecordedQueries) -> None:
    def execute_and_fail() -> None:
        _execute("select 1")
        raise LookupError

    with pytest.raises(LookupError), recorded.at_most(0):
        execute_and_fail()


def test_repetitions_come_with_how_often_and_where(recorded: RecordedQueries) -> None:
    for number in range(3):
        _execute(f"select * from users where id = {number}")
    _execute("select  *  from orders where id in (1, 2)")
    _execute("select * from orders where id in (1,2,3)", place=None)
    _execute("select 1")

    users, orders = recorded.repeated()

    assert (users.times, users.sql) == (3, "select * from users where id = ?")
    assert users.places == [_PLACE]
    assert (orders.times, orders.sql) == (2, "select * from orders where id in (?)")
    assert str(users) == ("3 times  select * from users where id = ?  at /app/shop.py:30 in list")
    assert recorded.repeated(more_than=2) == [users]


@pytest.mark.parametrize(
    ("sql", "general"),
    [
        ("select * from t where a = $1 and b = %s", "select * from t where a = ? and b = ?"),
        ("select * from t where a = %(a)s or b = :b", "select * from t where a = ? or b = ?"),
        ("select a::text, 'it''s' from t2", "select a::text, ? from t2"),
        ("values ($1::int, $2::int)", "values (?)"),
        ("insert into t values (1.5, 'a')", "insert into t values (?)"),
        ("select * from t where a in (1,2) limit 3", "select * from t where a in (?) limit ?"),
    ],
)
def test_statements_are_the_same_if_only_values_differ(sql: str, general: str) -> None:
    assert generalize(sql) == general


def _response(number: int | None, *history: Any) -> Any:
    extensions = {} if number is None else {"pytest_asgi.exchange": number}
    return SimpleNamespace(extensions=extensions, history=list(history))


@promise("database.queries-of-request")
def test_the_statements_of_one_request(recorded: RecordedQueries) -> None:
    _execute("select 1", exchange=1)
    _execute("select 2", exchange=2)
    _execute("select 3", exchange=3)
    _execute("select 4")

    redirected = _response(3, _response(2))

    assert [query.sql for query in recorded.of(_response(1))] == ["select 1"]
    assert [query.sql for query in recorded.of(redirected)] == ["select 2", "select 3"]


def test_a_response_of_another_client_does_not_tell(recorded: RecordedQueries) -> None:
    with pytest.raises(DatabaseError, match="not known which queries"):
        recorded.of(_response(None))


def _request(number: int) -> None:
    events.emit(events.RequestSent(exchange=number, method="GET", path="/o", query_string=b""))


@promise("database.n-plus-one")
def test_one_query_for_each_row_is_found(recorded: RecordedQueries) -> None:
    _request(1)
    for number in range(3):
        _execute("select * from users where id = ?", (number,), exchange=1)

    (found,) = recorded.for_each_row(3)

    assert (found.times, found.place, found.request) == (3, _PLACE, "GET /o")
    assert str(found) == (
        "GET /o: 3 times at /app/shop.py:30 in list: select * from users where id = ?"
    )
    assert recorded.for_each_row(4) == []


def test_what_is_no_query_for_each_row(recorded: RecordedQueries) -> None:
    for number in range(3):
        _execute("select 1", exchange=number)  # in three requests
        _execute("select 2")  # in none
        _execute("select 3", place=("/app/shop.py", number, "f"), exchange=1)  # at three lines
        _execute("select 4", place=None, exchange=1)  # at none
        _execute("insert into t values (1)", exchange=1)

    assert recorded.for_each_row(3) == []


def test_several_may_listen() -> None:
    first, second = RecordedQueries(), RecordedQueries()

    with events.heard_by(first.hear):
        with events.heard_by(second.hear):
            _execute("select 1")
        _execute("select 2")
    _execute("select 3")

    assert [query.sql for query in first] == ["select 1", "select 2"]
    assert [query.sql for query in second] == ["select 1"]
