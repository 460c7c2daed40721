"""The parts of the reference that are made from the code: `python -m tests.docs.generated`.

A page marks such a part with `<!-- generated: NAME -->` and `<!-- end -->`. The command writes
them anew; a test compares them.
"""

from __future__ import annotations

import inspect
import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest_asgi
from pytest_asgi import errors
from pytest_asgi.asgi.rules import TABLES
from pytest_asgi.plugin import fixtures, hookspecs, settings, trio_fixtures
from pytest_asgi.plugin.stand_ins import fixtures as stand_in_fixtures
from tests.docs.blocks import ROOT
from tests.promises import PROMISES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from pytest_asgi.asgi.rules import Rule

REFERENCE = ROOT / "docs" / "reference"

_PART = re.compile(r"<!-- generated: (?P<name>[^ ]+) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL)
_AREAS = {
    "run": "Tests run",
    "fixture": "Fixtures",
    "loop": "One loop",
    "task": "One task",
    "context": "One context",
    "background": "In the background",
    "interrupt": "Interrupts",
    "sync": "Synchronous code",
    "neighbour": "Neighbours",
    "trio": "trio",
    "settings": "Settings",
    "client": "The client",
    "hang": "Tests that hang",
    "websocket": "WebSockets",
    "rules": "The rules of ASGI",
    "database": "Databases",
    "leaks": "What is left behind",
}


def renew(text: str) -> str:
    """Return the text of a page with its generated parts made anew."""
    return _PART.sub(
        lambda part: f"<!-- generated: {part['name']} -->\n{_make(part['name'])}<!-- end -->", text
    )


def names_in(text: str) -> list[str]:
    """Return the names of the generated parts of a page."""
    return [part["name"] for part in _PART.finditer(text)]


def renew_all() -> Iterator[Path]:
    """Write the generated parts of all pages, and yield the pages that changed."""
    for page in sorted(REFERENCE.glob("*.md")):
        old = page.read_text(encoding="utf-8")
        new = renew(old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            yield page


def _make(name: str) -> str:
    kind, _, argument = name.partition(":")
    lines = _MAKERS[kind](*filter(None, [argument]))
    return "".join(f"{line}\n" for line in ["", *lines, ""])


def _options() -> Iterator[str]:
    yield from _heading("in the configuration", "flag", "in the mark", "values", "default")
    for option in settings._OPTIONS:
        values = [f"`{value}`" for value in option.values]
        if option.or_import_path:
            values.append("`module:name`")
        if option.example:
            values += [f"`{example}`" for example in option.example.split(", ")]
        default = getattr(settings.Settings(), option.name)
        yield _row(
            f"[`asgi_{option.name}`](#asgi_{option.name})",
            f"`{option.flag}`",
            f"`{option.name}=`" if option.in_mark else "",
            ", ".join(values),
            f"`{default}`" if default else option.if_not_set,
        )


def _fixtures_for_tests() -> Iterator[str]:
    return _fixture_table(fixtures)


def _fixtures_of_trio() -> Iterator[str]:
    return _fixture_table(trio_fixtures)


def _fixtures_of_peers() -> Iterator[str]:
    return _fixture_table(stand_in_fixtures)


def _fixture_table(module: ModuleType) -> Iterator[str]:
    yield from _heading("fixture", "scope", "gives")
    for name in module.OFFERED:
        fixture = getattr(module, name)
        yield _row(f"`{name}`", fixture._fixture_function_marker.scope, _summary(fixture))


def _hooks() -> Iterator[str]:
    for name, hook in vars(hookspecs).items():
        if name.startswith("pytest_asgi_"):
            signature = str(inspect.signature(hook)).replace("'", "")
            yield from (f"## `{name}`", "", f"`def {name}{signature}`", "", _summary(hook), "")


def _parameters(name: str) -> Iterator[str]:
    kind = getattr(pytest_asgi, name)
    signature = inspect.signature(kind)
    yield from _heading("parameter", "default", "meaning")
    for parameter, meaning in _section(inspect.getdoc(kind) or "", "Args").items():
        found = signature.parameters[parameter]
        stars = "**" if found.kind is found.VAR_KEYWORD else ""
        yield _row(f"`{stars}{parameter}`", _default(found), meaning)


def _attributes(name: str) -> Iterator[str]:
    yield from _heading("attribute", "meaning")
    text = inspect.getdoc(getattr(pytest_asgi, name)) or ""
    for attribute, meaning in _section(text, "Attributes").items():
        yield _row(f"`{attribute}`", meaning)


def _default(parameter: inspect.Parameter) -> str:
    return "" if parameter.default is parameter.empty else f"`{parameter.default!r}`"


def _section(docstring: str, title: str) -> dict[str, str]:
    section = docstring.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in entries}


def _error_tree() -> Iterator[str]:
    yield "```text"
    yield from (errors.__doc__ or "").split("```")[1].strip("\n").splitlines()
    yield "```"


def _asgi_rules() -> Iterator[str]:
    for heading, rules in TABLES.items():
        yield from (f"## {heading}", "", *_heading("rule", "says", "written in", ""))
        for rule in rules:
            yield _row(f"`{rule.id}`", rule.text, _section_link(rule.link), _grade(rule))
        yield ""


def _section_link(link: str) -> str:
    page, _, section = link.rpartition("/")[2].partition("#")
    number = section.removeprefix("section-")
    name = f"RFC {page.removeprefix('rfc')}, {number}" if page.startswith("rfc") else section
    return f"[{name}]({link})"


def _grade(rule: Rule) -> str:
    return "advice" if rule.severity == "advice" else ""


def _promises() -> Iterator[str]:
    for area, promises in groupby(PROMISES, key=lambda promise: promise.id.partition(".")[0]):
        yield from (f"## {_AREAS.get(area, area.capitalize())}", "", *_heading("name", "promise"))
        for promise in promises:
            yield _row(f"`{promise.id}`", promise.sentence)
        yield ""


def _summary(thing: Any) -> str:
    return (inspect.getdoc(getattr(thing, "__wrapped__", thing)) or "").partition("\n\n")[0]


def _heading(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|" + "---|" * len(cells)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


_MAKERS: dict[str, Callable[..., Iterator[str]]] = {
    "options": _options,
    "fixtures": _fixtures_for_tests,
    "fixtures-of-trio": _fixtures_of_trio,
    "fixtures-of-peers": _fixtures_of_peers,
    "hooks": _hooks,
    "attributes": _attributes,
    "parameters": _parameters,
    "error-tree": _error_tree,
    "asgi-rules": _asgi_rules,
    "promises": _promises,
}

if __name__ == "__main__":
    for renewed in renew_all():
        print(f"renewed {renewed.relative_to(ROOT)}")  # noqa: T201 - the command's answer
