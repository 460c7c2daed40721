"""One collection at a moment: what it is, its indexes, its documents; read, compared, put back.

Documents stay as the bytes they are, so that nothing of them is lost on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import DuplicateKeyError

from pytest_asgi.database.changes import Deleted, Inserted, Updated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymongo.collection import Collection
    from pymongo.database import Database

    from pytest_asgi.database.changes import Change

RAW = CodecOptions(document_class=RawBSONDocument)

# What an index's description says beside the arguments to make it.
_NOT_OPTIONS = frozenset({"ns", "background"})


class Snapshot(NamedTuple):
    """A collection at a moment.

    Attributes:
        description: Its kind and options; `None` if there is none of this name.
        indexes: Their descriptions.
        documents: In the order in which they are stored, by their ids.
    """

    description: Mapping[str, Any] | None
    indexes: tuple[Mapping[str, Any], ...] = ()
    documents: Mapping[bytes, RawBSONDocument] = {}

    @property
    def has_documents(self) -> bool:
        """Whether it stores documents: a view shows those of others."""
        return self.description is not None and self.description["type"] != "view"

    @property
    def is_plain(self) -> bool:
        """Whether each document can be deleted and replaced by its id."""
        assert self.description is not None
        return self.description["type"] == "collection" and not self.description["options"].get(
            "capped"
        )


ABSENT = Snapshot(None)


def read(database: Database[Any], name: str) -> Snapshot:
    """Return a collection as it is now."""
    found = read_structure(database, name)
    if not found.has_documents:
        return found
    return found._replace(documents=read_documents(database[name]))


def read_structure(database: Database[Any], name: str) -> Snapshot:
    """Return a collection as it is now, without its documents."""
    description = next(iter(database.list_collections(filter={"name": name})), None)
    if description is None:
        return ABSENT
    described = {"type": description.get("type", "collection"), "options": description["options"]}
    found = Snapshot(described)
    if not found.has_documents:
        return found
    return found._replace(indexes=tuple(dict(each) for each in database[name].list_indexes()))


def read_documents(collection: Collection[Any]) -> dict[bytes, RawBSONDocument]:
    """Return the documents of a collection by their ids, in the order in which they are stored."""
    documents = collection.with_options(codec_options=RAW).find({})
    return {_identity(document): document for document in documents}


def put_back(database: Database[Any], name: str, before: Snapshot, *, is_structural: bool) -> None:
    """Let the collection be again what it was.

    Args:
        database: Where it is.
        name: Its name.
        before: What it was.
        is_structural: Whether more than its documents may have changed.
    """
    if before.description is None:
        database.drop_collection(name)
        return
    if is_structural:
        now = read_structure(database, name)
        if now.description != before.description:
            database.drop_collection(name)
            make(database, name, before)
            return
        _put_back_indexes(database[name], before, now)
    if before.has_documents:
        _put_back_documents(database, name, before)


def make(database: Database[Any], name: str, found: Snapshot) -> None:
    """Make a collection that is not there."""
    assert found.description is not None
    database.command({"create": name, **found.description["options"]})
    _create_indexes(database[name], found.indexes)
    _insert(database[name], list(found.documents.values()))


def compare(before: Snapshot, now: Snapshot, decode: CodecOptions[Any]) -> list[Change]:
    """Return the net effect, in the order in which documents are stored; deleted ones last."""
    changes: list[Change] = []
    for identity, document in now.documents.items():
        old = before.documents.get(identity)
        if old is None:
            changes.append(Inserted(bson.decode(document.raw, decode)))
        elif old.raw != document.raw:
            changes.append(
                Updated(bson.decode(old.raw, decode), bson.decode(document.raw, decode))
            )
    changes += [
        Deleted(bson.decode(document.raw, decode))
        for identity, document in before.documents.items()
        if identity not in now.documents
    ]
    return changes


def _identity(document: RawBSONDocument) -> bytes:
    # Time series keep measurements without an id.
    return bson.encode({"": document["_id"]}) if "_id" in document else bytes(document.raw)


def _put_back_indexes(collection: Collection[Any], before: Snapshot, now: Snapshot) -> None:
    for index in now.indexes:
        if index not in before.indexes:
            collection.drop_index(index["name"])
    _create_indexes(collection, [index for index in before.indexes if index not in now.indexes])


def _create_indexes(collection: Collection[Any], indexes: Any) -> None:
    wanted = [
        {key: value for key, value in index.items() if key not in _NOT_OPTIONS}
        for index in indexes
        if index["name"] != "_id_"
    ]
    if wanted:
        collection.database.command({"createIndexes": collection.name, "indexes": wanted})


def _put_back_documents(database: Database[Any], name: str, before: Snapshot) -> None:
    collection = database[name]
    now = read_documents(collection)
    if now == before.documents and list(now) == list(before.documents):
        return
    if not before.is_plain:
        database.drop_collection(name)
        make(database, name, before)
        return
    if not _keeps_order(before, now) or len(before.documents) < len(now) / 2:
        _insert_anew(collection, before)
        return
    added = [
        document["_id"] for identity, document in now.items() if identity not in before.documents
    ]
    if added:
        collection.delete_many({"_id": {"$in": added}})
    try:
        for identity, document in before.documents.items():
            if now[identity].raw != document.raw:
                collection.with_options(codec_options=RAW).replace_one(
                    {"_id": document["_id"]}, document, bypass_document_validation=True
                )
    except DuplicateKeyError:  # two have exchanged what must be unique
        _insert_anew(collection, before)


def _keeps_order(before: Snapshot, now: Mapping[bytes, RawBSONDocument]) -> bool:
    """Tell whether all that was there is there still, in the same order.

    A deleted document that is inserted again comes last, and tests see the order of `find`.
    """
    return [identity for identity in now if identity in before.documents] == list(before.documents)


def _insert_anew(collection: Collection[Any], before: Snapshot) -> None:
    collection.delete_many({})
    _insert(collection, list(before.documents.values()))


def _insert(collection: Collection[Any], documents: list[RawBSONDocument]) -> None:
    if documents:
        raw = collection.with_options(codec_options=RAW)
        raw.insert_many(documents, bypass_document_validation=True)
