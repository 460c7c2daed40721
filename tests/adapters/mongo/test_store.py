"""The databases of MongoDB go back to a mark, and tell what has changed since."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions
from pymongo import DeleteOne, IndexModel, InsertOne, UpdateMany
from pymongo.errors import PyMongoError

from pytest_asgi.adapters.mongo.store import MongoStore
from pytest_asgi.database.changes import Deleted, Inserted, Updated
from pytest_asgi.errors import IsolationError
from tests.promises import promise

MADE = dt.datetime(2024, 5, 1)  # noqa: DTZ001 - as PyMongo gives it
Fingerprint = dict[str, Any]


def fingerprint(store: MongoStore) -> Fingerprint:
    return {
        name: (
            found.description,
            found.indexes,
            [bytes(each.raw) for each in found.documents.values()],
        )
        for name, found in store.collections()
    }


def fill(app: Any) -> None:
    app.shop.items.create_indexes([IndexModel("name", unique=True), IndexModel([("price", -1)])])
    app.shop.items.insert_many(
        [
            {"_id": 1, "name": "pen", "price": 1.5, "tags": ["a", "b"]},
            {"_id": 2, "name": "ink", "price": 2, "made": MADE},
            {
                "_id": 3,
                "name": "cap",
                "price": bson.Int64(3),
                "key": bson.ObjectId(b"twelve bytes"),
            },
        ]
    )
    app.shop.create_collection("orders", validator={"total": {"$gt": 0}})
    app.audit.log.insert_one({"_id": {"day": 1, "n": 2}, "event": "start"})


@promise("database.mongo-restored")
def test_documents_come_back_as_they_were(store: MongoStore, app: Any) -> None:
    fill(app)
    before = fingerprint(store)
    mark = store.mark()

    app.shop.items.insert_one({"name": "new"})
    app.shop.items.update_one({"_id": 1}, {"$set": {"price": 9}, "$unset": {"tags": ""}})
    app.shop.items.delete_one({"_id": 2})
    app.shop.items.find_one_and_update({"_id": 3}, {"$inc": {"price": 1}})
    app.audit.log.delete_many({})
    app.shop.orders.insert_one({"total": 1})
    store.restore(mark)

    assert fingerprint(store) == before
    assert store.changes(mark) == {}


@promise("database.mongo-restored")
def test_collections_indexes_and_options_come_back(store: MongoStore, app: Any) -> None:
    fill(app)
    before = fingerprint(store)
    mark = store.mark()

    app.shop.items.drop_index("price_-1")
    app.shop.items.create_index("tags")
    app.shop.orders.drop()
    app.shop.orders.insert_one({"total": -1})
    app.shop.new.create_index("name")
    app.more.things.insert_one({})
    store.restore(mark)

    assert fingerprint(store) == before


def test_a_database_that_was_dropped_comes_back(store: MongoStore, app: Any) -> None:
    fill(app)
    before = fingerprint(store)
    mark = store.mark()

    app.drop_database("shop")
    app.shop.items.insert_one({"_id": 1, "name": "another"})
    store.restore(mark)

    assert fingerprint(store) == before


def test_what_an_aggregation_wrote_is_undone(store: MongoStore, app: Any) -> None:
    fill(app)
    before = fingerprint(store)
    mark = store.mark()

    app.shop.items.aggregate([{"$merge": {"into": "merged"}}])
    assert app.shop.merged.count_documents({}) == 3
    store.restore(mark)

    assert fingerprint(store) == before


def test_views_and_capped_collections_come_back(store: MongoStore, app: Any) -> None:
    fill(app)
    app.shop.create_collection("cheap", viewOn="items", pipeline=[{"$match": {"price": 1.5}}])
    app.shop.create_collection("news", capped=True, size=4096)
    app.shop.news.insert_one({"_id": 1})
    before = fingerprint(store)
    mark = store.mark()

    app.shop.news.insert_one({"_id": 2})
    app.shop.cheap.drop()
    app.shop.create_collection("cheap", viewOn="orders", pipeline=[])
    store.restore(mark)

    assert fingerprint(store) == before


def test_two_documents_that_exchanged_a_unique_value_come_back(
    store: MongoStore, app: Any
) -> None:
    fill(app)
    before = fingerprint(store)
    mark = store.mark()

    for identity, name in ((1, "between"), (2, "pen"), (1, "ink")):
        app.shop.items.update_one({"_id": identity}, {"$set": {"name": name}})
    store.restore(mark)

    assert fingerprint(store) == before


def test_a_bulk_write_is_undone(store: MongoStore, app: Any) -> None:
    fill(app)
    before = fingerprint(store)
    mark = store.mark()

    app.shop.items.bulk_write(
        [InsertOne({"name": "x"}), DeleteOne({"_id": 1}), UpdateMany({}, {"$set": {"price": 0}})]
    )
    assert len(store.changes(mark)["items"]) == 4
    store.restore(mark)

    assert fingerprint(store) == before


def test_a_transaction_that_was_given_up_changes_nothing(store: MongoStore, app: Any) -> None:
    fill(app)
    mark = store.mark()

    with app.start_session() as session, session.start_transaction():
        app.shop.items.delete_many({}, session=session)
        session.abort_transaction()

    assert store.changes(mark) == {}


def test_marks_nest(store: MongoStore, app: Any) -> None:
    outer = store.mark()
    app.shop.items.insert_one({"_id": "module"})
    inner = store.mark()

    for _ in range(2):
        app.shop.items.update_one({"_id": "module"}, {"$set": {"changed": True}})
        app.shop.items.insert_one({"_id": "test"})
        store.restore(inner)
        assert store.select("items", {}) == [{"_id": "module"}]
    store.restore(outer)

    assert store.tables() == []


def test_an_outer_mark_is_good_without_the_inner_one_having_been_restored(
    store: MongoStore, app: Any
) -> None:
    app.shop.items.insert_one({"_id": 1, "n": 1})
    outer = store.mark()
    app.shop.items.update_one({"_id": 1}, {"$set": {"n": 2}})
    inner = store.mark()
    app.shop.items.update_one({"_id": 1}, {"$set": {"n": 3}})

    assert store.changes(inner) == {"items": [Updated({"_id": 1, "n": 2}, {"_id": 1, "n": 3})]}
    assert store.changes(outer) == {"items": [Updated({"_id": 1, "n": 1}, {"_id": 1, "n": 3})]}
    store.restore(outer)

    assert store.select("items", {}) == [{"_id": 1, "n": 1}]


@promise("database.mongo-changes")
def test_changes_are_typed_documents_by_collection_in_order(store: MongoStore, app: Any) -> None:
    fill(app)
    key = uuid.uuid4()
    now = dt.datetime(2024, 5, 1, 12, 30)  # noqa: DTZ001 - as PyMongo gives it
    mark = store.mark()

    standard = CodecOptions[Any](uuid_representation=4)
    orders = app.shop.get_collection("orders", codec_options=standard)
    orders.insert_one({"_id": 1, "key": key, "at": now, "total": 2})
    app.shop.items.delete_one({"_id": 2})
    app.shop.items.update_one({"_id": 3}, {"$set": {"price": 4}, "$unset": {"key": ""}})
    app.shop.items.update_one({"_id": 1}, {"$set": {"price": 1.5}})
    app.audit.log.insert_one({"_id": 7})

    changes = store.changes(mark)
    assert changes == {
        "orders": [Inserted({"_id": 1, "key": key, "at": now, "total": 2})],
        "items": [
            Updated(
                {"_id": 3, "name": "cap", "price": 3, "key": bson.ObjectId(b"twelve bytes")},
                {"_id": 3, "name": "cap", "price": 4},
            ),
            Deleted({"_id": 2, "name": "ink", "price": 2, "made": MADE}),
        ],
        "audit.log": [Inserted({"_id": 7})],
    }
    assert list(changes) == ["orders", "items", "audit.log"]


def test_to_look_costs_nothing_and_writes_nothing(store: MongoStore, app: Any) -> None:
    fill(app)
    mark = store.mark()

    assert app.shop.items.count_documents({"price": {"$gt": 1}}) == 3
    assert [each["_id"] for each in app.shop.items.aggregate([{"$match": {"_id": 1}}])] == [1]
    app.admin.command("ping")
    app.server_info()

    assert not mark.written
    assert not mark.overrun


def test_a_command_that_nobody_knows_may_have_written_anything(
    store: MongoStore, app: Any
) -> None:
    fill(app)
    before = fingerprint(store)
    mark = store.mark()

    with pytest.raises(PyMongoError):
        app.shop.command("scramble")
    # As if it had: these are not told to the store, which knows nothing is known any more.
    store._client[store.names.on_server("shop")].items.delete_many({})
    store._client[store.names.on_server("shop")].scrambled.insert_one({})
    store.restore(mark)

    assert fingerprint(store) == before


def test_documents_are_selected_and_counted(store: MongoStore, app: Any) -> None:
    fill(app)

    assert store.tables() == ["audit.log", "items", "orders"]
    assert store.select("items", {"name": "pen"}) == [
        {"_id": 1, "name": "pen", "price": 1.5, "tags": ["a", "b"]}
    ]
    assert len(store.select("items", {}, limit=2)) == 2
    assert store.count("items", {"price": {"$gt": 1.5}}) == 2
    assert store.count("audit.log", {}) == 1
    assert store.count("shop.items", {}) == 3
    assert store.count("not there", {}) == 0


def test_a_store_that_nothing_has_used_is_empty(store: MongoStore) -> None:
    assert store.tables() == []
    assert store.count("items", {}) == 0


def test_a_fork_holds_the_same_and_is_another_one(store: MongoStore, app: Any) -> None:
    fill(app)
    fork = store.fork()

    assert fork.tables() == store.tables()
    assert fork.select("items", {}) == store.select("items", {})
    fork.close()
    assert store.count("items", {}) == 3


def test_a_collection_that_could_not_be_read_before_a_write_is_an_error(
    store: MongoStore, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PyMongoError("no")

    mark = store.mark()
    with monkeypatch.context() as patch:
        patch.setattr("pytest_asgi.adapters.mongo.snapshots.read", fail)
        app.shop.items.insert_one({})

    with pytest.raises(IsolationError, match="could not be read"):
        store.restore(mark)


def test_what_the_server_refuses_is_an_error(
    store: MongoStore, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PyMongoError("WriteConflict")

    mark = store.mark()
    app.shop.items.insert_one({})
    monkeypatch.setattr("pytest_asgi.adapters.mongo.snapshots.put_back", fail)

    with pytest.raises(IsolationError, match="WriteConflict"):
        store.restore(mark)
