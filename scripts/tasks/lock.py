"""`scripts/lock`: choose the versions that everybody develops with.

Locks are plain requirement files with hashes, good for every platform and Python that we
support, and for pip as well as uv.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pythons import OLDEST, find_pythons
from tasks.environments import ROOT, make_uv, say

# A release that turns out to be broken or hostile is usually withdrawn within days.
_COOLDOWN = timedelta(days=7)
# Newest first: "check" holds everything, and the later ones take its versions.
_LOCKS = {
    "uv": ["--group=installer"],
    "check": ["pyproject.toml", "--group=test", "--group=lint", "--group=bench", "--group=build"],
    "test": ["pyproject.toml", "--group=test", "--group=build"],
    "bench": ["pyproject.toml", "--group=bench", "--group=build"],
    "demo": [
        *("pyproject.toml", "--extra=postgres"),
        *("examples/shop/requirements.txt", "--group=build"),
    ],
    "oldest": ["pyproject.toml", "--group=test", "--group=build"],
}
_FREE = {"uv", "check"}
_OPTIONS = [
    "--universal",
    f"--python-version={OLDEST[0]}.{OLDEST[1]}",
    "--generate-hashes",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--custom-compile-command=scripts/lock",
]


def main(arguments: list[str]) -> int:
    """Write every lock file, the same packages at the same versions in all but the oldest."""
    parser = argparse.ArgumentParser(prog="scripts/lock", description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    upgrade = parser.parse_args(arguments).upgrade
    uv = make_uv(next(find_pythons()))
    if uv is None:
        raise SystemExit("scripts/lock: uv could not be installed, and only uv can write locks.")
    for name in _LOCKS:
        say(f"requirements/{name}.txt")
        _compile(uv, name, upgrade=upgrade)
    return 0


def _compile(uv: str, name: str, *, upgrade: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "pins.txt")
        pins.write_text(_pins(name), encoding="utf-8")
        command = [uv, "pip", "compile", "--quiet", "--no-config", *_LOCKS[name], *_OPTIONS]
        command += ["--constraint", str(pins), "--exclude-newer", _newest_moment()]
        command += ["--upgrade"] if upgrade else []
        command += ["--output-file", f"requirements/{name}.txt"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _pins(name: str) -> str:
    """Return what a lock may not choose freely."""
    if name in _FREE:
        return ""
    if name == "oldest":
        return "\n".join(_lower_bounds())
    text = (ROOT / "requirements" / "check.txt").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^\w\S*==.*?(?= \\$)", text, flags=re.MULTILINE))


def _lower_bounds() -> list[str]:
    """Return the oldest versions that we claim to work with."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    dependencies: list[str] = configuration["project"]["dependencies"]
    return [dependency.replace(">=", "==") for dependency in dependencies]


def _newest_moment() -> str:
    return (datetime.now(tz=UTC) - _COOLDOWN).date().isoformat()
