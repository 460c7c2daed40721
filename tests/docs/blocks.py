"""The fenced blocks of a Markdown page, and what each one is for.

A block says in its first line which file it is: `# test_main.py` (`-- tables.sql` in SQL), or
`# test_main.py, continued` for lines that belong below those already there. Console blocks show
commands after `$ ` and what they print. The word `not-run` after the language keeps a block from
being carried out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*) *(?P<words>.*)$")
_FILE_NAME = re.compile(r"^(?:#|--) (?P<name>[\w./-]+\.\w+)(?P<continued>, continued)?$")
FILE_LANGUAGES = ("python", "toml", "ini", "sql")
LANGUAGES = (*FILE_LANGUAGES, "console", "text")


class PageError(AssertionError):
    """A page does not keep to the rules, or does not say what is true."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        place: The page and the line of the opening fence, for messages.
        language: The word after the opening fence.
        words: The rest of that line.
        text: What stands between the fences.
    """

    place: str
    language: str
    words: str
    text: str

    @property
    def is_run(self) -> bool:
        """Whether the block is carried out."""
        return self.language != "text" and self.words != "not-run"

    def file(self) -> tuple[str, bool]:
        """Return the name of the file that the block is, and whether it continues that file.

        Raises:
            PageError: The first line does not tell.
        """
        first = self.text.partition("\n")[0]
        match = _FILE_NAME.match(first)
        if match is None:
            message = f"{self.place}: the first line must name the file, as in `# test_main.py`"
            raise PageError(message)
        return match["name"], match["continued"] is not None


def pages() -> list[Path]:
    """Return every page of the documentation, README first."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read_blocks(page: Path) -> Iterator[Block]:
    """Read the blocks of a page in their order.

    Raises:
        PageError: A fence is indented, never closed or names no language that is known here.
    """
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence is None:
            continue
        place = f"{page.name}:{number}"
        if fence["indent"] or fence["language"] not in LANGUAGES or fence["words"] not in _WORDS:
            message = f"{place}: a block begins at the margin with one of {', '.join(LANGUAGES)}"
            raise PageError(message)
        text = _text_before_closing_fence(lines, place)
        yield Block(place, fence["language"], fence["words"], text)


_WORDS = ("", "not-run")


def _text_before_closing_fence(lines: Iterator[tuple[int, str]], place: str) -> str:
    text: list[str] = []
    for _, line in lines:
        if line == "```":
            return "".join(f"{line}\n" for line in text)
        text.append(line)
    message = f"{place}: the block is never closed"
    raise PageError(message)
