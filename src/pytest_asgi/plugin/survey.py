"""What the collected tests ask for, found in one look at each: every run pays for it.

A part of the plugin that no test asks for has no hooks around the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest


class Survey(NamedTuple):
    """What the tests of a session ask for.

    Attributes:
        marks: The names of their marks, those of classes and modules too.
        options: The options of ours that the mark `asgi` changes for some of them.
        fixtures: The names of the fixtures that they use.
    """

    marks: frozenset[str]
    options: frozenset[str]
    fixtures: frozenset[str]


def survey(items: Iterable[pytest.Item]) -> Survey:
    """Look at all collected tests."""
    marks = dict[str, None]()
    options = set[str]()
    fixtures = set[str]()
    seen = set[object]()

    def look_at_marks(node: Any) -> None:
        for mark in node.own_markers:
            marks[mark.name] = None
            if mark.name == "asgi":
                options.update(mark.kwargs)

    parent: object = None
    for item in items:
        if item.own_markers:
            look_at_marks(item)
        fixtures.update(getattr(item, "fixturenames", ()))
        if item.parent is not parent:  # which most tests share with the one before
            parent = item.parent
            for node in item.listchain()[:-1]:
                if id(node) not in seen:
                    seen.add(id(node))
                    look_at_marks(node)
    return Survey(frozenset(marks), frozenset(options), frozenset(fixtures))
