"""What the first argument of `sqlite3.connect` means."""

from __future__ import annotations

import os
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

# What a URI says of a connection, and not of the file it is for; the rest ("vfs", "immutable",
# "nolock") says how to treat a file that is not the one which is opened.
_KEPT = {"mode": ("ro", "rw", "rwc"), "cache": ("shared", "private")}


class Address(NamedTuple):
    """A database as an app names it.

    Attributes:
        name: The file's absolute path, `:memory:`, the name that connections share a database in
            memory by, or nothing for a temporary one.
        options: What else a URI says, as a query.
    """

    name: str
    options: str = ""


def read_address(database: Any, *, is_uri: bool) -> Address:
    """Return what `database` names.

    Args:
        database: A path, a URI or a special name.
        is_uri: Whether a name that begins with `file:` is a URI.
    """
    text = os.fsdecode(database)
    if text in ("", ":memory:"):
        return Address(text)
    if not is_uri or not text.startswith("file:"):
        return Address(os.path.realpath(text))
    return _read_uri(text)


def lead_to(uri: str, address: Address) -> str:
    """Return a URI of ours with what `address` says beside the file."""
    return f"{uri}{'&' if '?' in uri else '?'}{address.options}".rstrip("?&")


def _read_uri(text: str) -> Address:
    parts = urlsplit(text)
    path, query = unquote(parts.path), dict(parse_qsl(parts.query))
    if query.get("vfs") == "memdb":
        return Address(f"memdb:{path}" if path.startswith("/") else ":memory:")
    is_shared = query.get("cache") == "shared"
    if path in ("", ":memory:") or query.get("mode") == "memory":
        is_named = is_shared and path
        return Address(f"memory:{path}" if is_named else path and ":memory:")
    kept = [f"{key}={query[key]}" for key, values in _KEPT.items() if query.get(key) in values]
    return Address(os.path.realpath(path), "&".join(kept))
