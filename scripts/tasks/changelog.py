"""`scripts/changelog`: notes for users, one small file per change until the release.

A file per change never conflicts with another; a release joins them in CHANGELOG.md.
"""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime

from tasks.environments import ROOT, say

_FOLDER = ROOT / "changelog.d"
_CHANGELOG = ROOT / "CHANGELOG.md"
_KINDS = ("added", "changed", "fixed", "removed")
_NAME = re.compile(rf"[a-z0-9-]+\.({'|'.join(_KINDS)})\.md")
_MARK = "<!-- next release -->\n"


def main(arguments: list[str]) -> int:
    """Show the next release's section, or move it into CHANGELOG.md."""
    parser = argparse.ArgumentParser(prog="scripts/changelog", description=__doc__)
    parser.add_argument("version", nargs="?", help="release: join the notes under this version")
    version = parser.parse_args(arguments).version
    today = datetime.now(tz=UTC).date()
    section = _render(f"{version} ({today})" if version else "Next release")
    say(section)
    if check():
        return 1
    if version:
        text = _CHANGELOG.read_text(encoding="utf-8")
        _CHANGELOG.write_text(text.replace(_MARK, f"{_MARK}\n{section}", 1), encoding="utf-8")
        for fragment in _FOLDER.glob("*.*.md"):
            fragment.unlink()
    return 0


def check() -> int:
    """Say what is wrong with the fragments and return how many are."""
    wrong = 0
    for path in sorted(_FOLDER.iterdir()):
        problem = path.name != "README.md" and _find_problem(path.name, path.read_text("utf-8"))
        if problem:
            say(f"changelog.d/{path.name}: {problem}")
            wrong += 1
    return wrong


def _find_problem(name: str, text: str) -> str | None:
    if not _NAME.fullmatch(name):
        return f"name it <words-with-dashes>.<{'|'.join(_KINDS)}>.md"
    if not text.strip().endswith((".", "!", "```")):
        return "write a sentence for users, with its full stop"
    if re.search(r"^#", text, flags=re.MULTILINE):
        return "leave headings to the release"
    return None


def _render(title: str) -> str:
    lines = [f"## {title}", ""]
    for kind in _KINDS:
        notes = [path.read_text("utf-8").strip() for path in sorted(_FOLDER.glob(f"*.{kind}.md"))]
        if notes:
            lines += [f"### {kind.capitalize()}", ""]
            lines += ["- " + note.replace("\n", "\n  ") for note in notes] + [""]
    return "\n".join(lines)
