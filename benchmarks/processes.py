"""Child processes: start Python in a clean environment and count the CPU time it takes."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# What would make one machine's children differ from another's.
_FOREIGN_SETTINGS = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTEST_ADDOPTS")
_LINES_SHOWN = 30


class ChildFailedError(Exception):
    """A child process did not do what the benchmark needs, so its time means nothing."""


@dataclass(frozen=True)
class Child:
    """What a finished child process cost and printed."""

    cpu_seconds: float
    clock_seconds: float
    output: str

    def must_say(self, text: str) -> None:
        """Refuse to measure a run that did something else than it was meant to."""
        if text not in self.output:
            raise ChildFailedError(f"Expected {text!r} in the output:\n{_end_of(self.output)}")


@dataclass(frozen=True)
class Workspace:
    """A folder for suites and byte code, thrown away after the run."""

    folder: Path

    def new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))

    def run_python(
        self, arguments: Sequence[str], *, cwd: Path | None = None, status: int = 0
    ) -> Child:
        """Run this interpreter with `arguments`, and insist on its exit status.

        CPU time is user and system time of the child and of everything it started itself.
        """
        begun, before = time.perf_counter(), _children_cpu_seconds()
        finished = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd or self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        cpu_seconds = _children_cpu_seconds() - before
        clock_seconds = time.perf_counter() - begun
        if finished.returncode != status:
            raise ChildFailedError(
                f"`python {' '.join(arguments)}` ended with status {finished.returncode}, "
                f"expected was {status}.\n"
                f"{_end_of(finished.stdout + finished.stderr)}"
            )
        return Child(cpu_seconds, clock_seconds, finished.stdout)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN_SETTINGS}
        return kept | {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONHASHSEED": "0",
            # A warm-up fills it, whoever owns the environment, and nothing is left behind.
            "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode"),
        }


def _end_of(output: str) -> str:
    return "\n".join(output.splitlines()[-_LINES_SHOWN:])


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
