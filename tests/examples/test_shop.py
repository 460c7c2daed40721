"""The test of `examples/shop` that fails on purpose: that it says what the demo shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.promises import promise

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@promise("database.diff-shown")
def test_what_fails_on_purpose_shows_what_was_written() -> None:
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}

    run = subprocess.run(
        [
            *(sys.executable, "-mpytest", "-pno:django", "tests/fails_on_purpose.py"),
            *("--sqlite", "-q", "--tb=short", "-pno:cacheprovider"),
        ],
        cwd=SHOP,
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert run.returncode == 1, run.stdout + run.stderr
    for line in (
        "AssertionError: assert written == expected, except for products, order_events",
        "  stock  3 → 1    3 → 2",
        "  unexpected  Inserted(id=2, order_id=1, kind='receipt_sent')",
        "1 failed in",
    ):
        assert line in run.stdout
