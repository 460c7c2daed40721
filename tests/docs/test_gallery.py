"""The page of errors shows each error that the code raises; that it shows what is true is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_asgi
from pytest_asgi import errors
from tests.docs.generated import REFERENCE

_SOURCES = sorted(Path(pytest_asgi.__file__).parent.rglob("*.py"))
_PAGE = (REFERENCE / "errors.md").read_text(encoding="utf-8")


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call in the package with the last part of the name of what it calls."""
    for source in _SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
                yield (node.func.id if isinstance(node.func, ast.Name) else node.func.attr), node


def _raised_errors() -> list[str]:
    ours = {name for name, value in vars(errors).items() if isinstance(value, type)}
    return sorted({name for name, _ in _calls() if name in ours})


def _usage_errors() -> list[str]:
    """Return a pattern for each text of a `pytest.UsageError`."""
    return [_pattern(call.args[0]) for name, call in _calls() if name == "UsageError"]


def _pattern(text: ast.expr) -> str:
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts
    )


def _section(heading: str) -> str:
    return _PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", _raised_errors())
def test_an_error_has_a_program_that_provokes_it_and_its_three_parts(name: str) -> None:
    program, _, shown = _section(f"`{name}`").partition("```console\n")

    assert "```python\n" in program
    assert re.search(
        rf"^.*pytest_asgi\.errors\.{name}: .+Why: .+Fix: ", shown, flags=re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("pattern", _usage_errors())
def test_a_usage_error_is_shown(pattern: str) -> None:
    shown = _section("Wrong options")

    assert re.search(rf"^ERROR: {pattern}$", shown, flags=re.MULTILINE)
