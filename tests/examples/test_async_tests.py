"""The suites of FastAPI's page "Async Tests", as users type them, in `examples/async_tests`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mongodb import HAS_MONGODB

EXAMPLE = Path(__file__).parents[2] / "examples" / "async_tests"


@pytest.mark.parametrize(
    "options",
    [[], ["-pno:asyncio"], ["-pno:anyio"], ["-pno:asyncio", "-pno:anyio"]],
    ids=["beside-both", "without-asyncio", "without-anyio", "alone"],
)
def test_every_variant_of_the_page_passes(options: list[str], tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "async_tests")
    if not HAS_MONGODB:
        (folder / "test_motor.py").unlink()
    tests = sum(file.read_text().count("def test_") for file in folder.glob("test_*.py"))
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}

    run = subprocess.run(
        [sys.executable, "-mpytest", "-q", "-pno:cacheprovider", "-pno:django", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    passed = re.search(r"(?m)^(\d+) passed in", run.stdout)
    assert passed is not None, run.stdout  # "1 skipped" would stand in between
    assert int(passed[1]) >= tests
