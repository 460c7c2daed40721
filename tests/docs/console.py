"""Console blocks: commands, and whether what they print is what the page shows.

`…` stands for any text in a line, and for any lines when it is alone in one. Times, versions and
the width of rules differ from run to run and count as equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docs.blocks import Block

_CHANGING = (
    (re.compile(r"\b\d+\.\d+s\b"), "0.01s"),
    (re.compile(r"\b\d+(\.\d+)+(?=[, ]|$)", re.MULTILINE), "1.0"),  # versions
    (re.compile(r"([=_-])\1{2,}"), r"\1\1\1"),
    (re.compile(r"[ \t]+(?=\[ *\d+%\])"), " "),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command and the output that the page shows for it.

    Attributes:
        place: Where it stands, for messages.
        line: What is typed.
        shown: The output; empty when the page shows none.
    """

    place: str
    line: str
    shown: str

    def is_shown(self, output: str) -> bool:
        """Tell whether `output` is what the page shows."""
        return re.fullmatch(_pattern(_steady(self.shown)), _steady(output)) is not None


def read_commands(block: Block) -> Iterator[Command]:
    """Read the commands of a console block in their order."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        yield Command(block.place, line, shown)


def _steady(output: str) -> str:
    for pattern, replacement in _CHANGING:
        output = pattern.sub(replacement, output)
    return output.strip("\n") + "\n"


def _pattern(shown: str) -> str:
    return "".join(
        r"(?:.*\n)*?" if line == "…\n" else re.escape(line).replace("…", ".*")
        for line in shown.splitlines(keepends=True)
    )
