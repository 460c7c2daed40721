"""How a message looks in an error."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr

_MOST_KEYS = 6


def shorten(value: object) -> str:
    """Return the representation of `value`, cut where it becomes unreadable."""
    brief = Repr()
    brief.maxstring = brief.maxother = brief.maxlong = 60
    brief.maxlist = brief.maxtuple = brief.maxdict = 4
    if not isinstance(value, Mapping):
        return brief.repr(value)
    # Not `Repr`'s own way with a dict, which sorts: an app writes the type first.
    items = [f"{brief.repr(key)}: {brief.repr(item)}" for key, item in value.items()]
    if len(items) > _MOST_KEYS:
        items[_MOST_KEYS:] = ["..."]
    return f"{{{', '.join(items)}}}"
