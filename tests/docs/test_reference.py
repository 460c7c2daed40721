"""The reference says what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

import pytest_asgi
from tests.docs.generated import REFERENCE, names_in, renew


def _read(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted(REFERENCE.glob("*.md")), ids=lambda page: page.stem)
def test_the_generated_parts_of_a_page_are_as_the_code_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert text == renew(text), "run: python -m tests.docs.generated"


@pytest.mark.parametrize(
    ("page", "parts"),
    [
        ("options.md", ["options"]),
        ("fixtures.md", ["fixtures", "fixtures-of-peers"]),
        ("hooks.md", ["hooks"]),
        ("python.md", [f"parameters:{name}" for name in ("AsyncClient", "TestClient")]),
        ("errors.md", ["error-tree"]),
        ("asgi-rules.md", ["asgi-rules"]),
        ("promises.md", ["promises"]),
    ],
)
def test_a_page_has_its_generated_parts(page: str, parts: list[str]) -> None:
    assert set(parts) <= set(names_in(_read(page)))


def test_every_public_name_has_a_section() -> None:
    text = _read("python.md") + _read("errors.md")

    missing = [name for name in pytest_asgi.__all__ if f"\n## `{name}`\n" not in text]

    assert missing == []
