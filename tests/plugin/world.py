"""A project folder, written and run by a test."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

# pytester forgets what a run in this process has imported first. A second copy of one of these
# would not know the state that the first one keeps.
import httpx2  # noqa: F401

import pytest_asgi.client.sync  # noqa: F401

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_TIMEOUT_SECONDS = 200  # a world that hangs fails its own test, and no other


class World:
    """A small project that a test writes, runs, and asks what happened.

    Runs happen in a process of their own, so that nothing of the outer test run is seen inside;
    only `run_in_process` saves the time for that.
    """

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester

    def write(self, **files: str) -> None:
        """Write Python files: `test_a="…"` becomes `test_a.py`; `__` stands for a folder."""
        for name, text in files.items():
            path = self.pytester.path.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")

    def configure(self, text: str) -> None:
        """Write `pytest.ini` with these lines below its heading."""
        self.pytester.makeini("[pytest]\n" + dedent(text))

    def run(
        self, *arguments: str, plugins: tuple[str, ...] = (), python: Path | None = None
    ) -> pytest.RunResult:
        """Run pytest with our plugin and `plugins`, and warnings as errors.

        Args:
            arguments: What stands on the command line.
            plugins: What is loaded beside our plugin, after it.
            python: The interpreter of another environment.
        """
        loaded = [f"-p{plugin}" for plugin in ("pytest_asgi.plugin", *plugins)]
        words = (*loaded, "-Werror", *arguments)
        if python is None:
            return self.pytester.runpytest_subprocess(*words, timeout=_TIMEOUT_SECONDS)
        return self.pytester.run(python, "-mpytest", *words, timeout=_TIMEOUT_SECONDS)

    def run_in_process(self, *arguments: str) -> pytest.RunResult:
        """Run in this process: quicker, for worlds that leave nothing behind."""
        return self.pytester.runpytest_inprocess("-ppytest_asgi.plugin", "-Werror", *arguments)

    def passes(
        self,
        count: int,
        *arguments: str,
        plugins: tuple[str, ...] = (),
        python: Path | None = None,
    ) -> None:
        """Run, and prove that so many tests passed and nothing else happened."""
        result = self.run(*arguments, plugins=plugins, python=python)
        assert result.parseoutcomes() == {"passed": count}, result.stdout.str()
