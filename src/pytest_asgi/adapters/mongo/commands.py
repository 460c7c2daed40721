"""What a command of MongoDB writes, and where it names databases. Knows the commands, no driver.

A command that is not known here counts as one that writes everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# https://www.mongodb.com/docs/manual/reference/command/
_READING = frozenset(
    {
        *(
            "find",
            "getMore",
            "killCursors",
            "count",
            "distinct",
            "explain",
            "planCacheListFilters",
        ),
        *("listCollections", "listIndexes", "listDatabases", "listCommands", "listSearchIndexes"),
        *("hello", "isMaster", "ismaster", "ping", "buildInfo", "buildinfo", "hostInfo", "getLog"),
        *("serverStatus", "dbStats", "dbstats", "collStats", "collstats", "dataSize", "dbHash"),
        *("validate", "top", "whatsmyuri", "connectionStatus", "getParameter", "getCmdLineOpts"),
        *(
            "saslStart",
            "saslContinue",
            "authenticate",
            "logout",
            "getnonce",
            "currentOp",
            "killOp",
        ),
        *("startSession", "refreshSessions", "endSessions", "killSessions", "killAllSessions"),
        *("commitTransaction", "abortTransaction", "replSetGetStatus", "getDefaultRWConcern"),
        *("usersInfo", "rolesInfo", "features", "lockInfo", "profile", "fsync", "sleep"),
    }
)
_WRITING = frozenset({"insert", "update", "delete", "findAndModify", "findandmodify"})
_STRUCTURAL = frozenset(
    {
        *("create", "drop", "createIndexes", "dropIndexes", "deleteIndexes", "collMod"),
        *("convertToCapped", "compact", "reIndex", "cloneCollectionAsCapped"),
        *("createSearchIndexes", "dropSearchIndex", "updateSearchIndex"),
    }
)


class Write(NamedTuple):
    """What a command may change.

    Attributes:
        database: The database; `None` for every one.
        collection: The collection; `None` for every one of the database.
        is_structural: Whether more than documents may change: that it exists, options, indexes.
    """

    database: str | None
    collection: str | None
    is_structural: bool


def writes_of(database: str, name: str, command: Mapping[str, Any]) -> Iterator[Write]:
    """Yield all that the command may change."""
    if name in _READING:
        return
    if name in _WRITING:
        yield Write(database, command[name], is_structural=False)
    elif name in _STRUCTURAL:
        yield Write(database, command[name], is_structural=True)
    elif name == "aggregate":
        yield from _writes_of_pipeline(database, command.get("pipeline", ()))
    elif name == "bulkWrite":
        for each in command["nsInfo"]:
            yield Write(*_split(each["ns"]), is_structural=False)
    elif name == "renameCollection":
        yield Write(*_split(command[name]), is_structural=True)
        yield Write(*_split(command["to"]), is_structural=True)
    elif name == "dropDatabase":
        yield Write(database, None, is_structural=True)
    else:
        yield Write(None, None, is_structural=True)


def _writes_of_pipeline(database: str, pipeline: Any) -> Iterator[Write]:
    last = pipeline[-1] if pipeline else {}
    if "$out" in last:
        yield Write(*_place(database, last["$out"]), is_structural=True)
    elif "$merge" in last:
        merge = last["$merge"]
        into = merge if isinstance(merge, str) else merge["into"]
        yield Write(*_place(database, into), is_structural=False)


def _place(database: str, named: Any) -> tuple[str, str]:
    if isinstance(named, str):
        return database, named
    return named.get("db", database), named["coll"]


def _split(namespace: str) -> tuple[str, str]:
    database, _, collection = namespace.partition(".")
    return database, collection


# --- names of databases inside of commands -------------------------------------------------------


def rename_databases(command: dict[str, Any], rename: Callable[[str], str]) -> dict[str, Any]:
    """Return the command with every database that it names renamed."""
    name = next(iter(command))
    if name == "renameCollection":
        renamed = {key: _renamed(command[key], rename) for key in (name, "to")}
        return command | renamed
    if name == "bulkWrite":
        infos = [{**each, "ns": _renamed(each["ns"], rename)} for each in command["nsInfo"]]
        return command | {"nsInfo": infos}
    if name == "aggregate" and command.get("pipeline"):
        pipeline = [_rename_in_stage(each, rename) for each in command["pipeline"]]
        return command | {"pipeline": pipeline}
    return command


def _renamed(namespace: str, rename: Callable[[str], str]) -> str:
    database, collection = _split(namespace)
    return f"{rename(database)}.{collection}"


def _rename_in_stage(stage: Any, rename: Callable[[str], str]) -> Any:
    """Rename in the stages that can name another database: where they read from or write to."""
    for operator, key in (("$out", None), ("$merge", "into"), ("$lookup", "from")):
        argument = stage.get(operator)
        place = (
            argument if key is None else argument.get(key) if isinstance(argument, dict) else None
        )
        if isinstance(place, dict) and "db" in place:
            place = {**place, "db": rename(place["db"])}
            return {**stage, operator: place if key is None else {**argument, key: place}}
    return stage
