"""Every link inside the documentation leads somewhere, and every page can be found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, pages

_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]*)(?:#(?P<anchor>[^)]*))?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def _prose(page: Path) -> str:
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def _links(page: Path) -> Iterator[tuple[Path, str]]:
    for link in _LINK.finditer(_prose(page)):
        target = (page.parent / link["path"]).resolve() if link["path"] else page
        yield target, link["anchor"] or ""


def _anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(_prose(page))
    named = re.findall(r"<a id=\"([^\"]+)\">", _prose(page))
    return {"", *map(_anchor, headings), *named}


def _anchor(heading: str) -> str:
    """Return what a heading is called in addresses, by the rules that code hosts share."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [
        f"{target.name}#{anchor}"
        for target, anchor in _links(page)
        if not target.exists() or (target.suffix == ".md" and anchor not in _anchors(target))
    ]

    assert broken == []


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {target for target, _ in _links(index)}

    missing = [page for page in pages() if page not in {*linked, index, ROOT / "README.md"}]

    assert missing == []
