"""The architecture is what import-linter proves: contracts in pyproject.toml."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_asgi

_CONFIGURATION = Path(__file__).parents[2] / "pyproject.toml"
_PACKAGE = Path(pytest_asgi.__file__).parent


def _lint(sources: Path) -> subprocess.CompletedProcess[str]:
    """Check the package as it lies in a folder, whichever one is installed."""
    code = (
        "import sys; from importlinter.cli import lint_imports_command as main; sys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "--config", _CONFIGURATION, "--no-cache"],
        cwd=sources,
        env={**os.environ, "PYTHONPATH": str(sources), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package that a test may spoil."""
    folder = tmp_path / _PACKAGE.name
    return shutil.copytree(_PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))


def test_every_import_keeps_to_the_contracts() -> None:
    checked = _lint(_PACKAGE.parent)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("asgi/__init__.py", "import pytest_asgi.client", "Imports point downwards only"),
        ("client/__init__.py", "import pytest_asgi.runner", "Imports point downwards only"),
        ("runner/__init__.py", "import pytest_asgi.client", "Imports point downwards only"),
        ("errors.py", "import pytest_asgi.events", "Imports point downwards only"),
        ("newcomer.py", "", "Imports point downwards only"),
        ("runner/__init__.py", "import pytest", "Only the plugin knows pytest"),
        ("plugin/hooks.py", "import _pytest.runner", "Private pytest lives in two files"),
        ("asgi/__init__.py", "import httpx2", "Only the client knows httpx2"),
        ("client/__init__.py", "import greenlet", "Only the runner knows greenlet"),
        ("plugin/hooks.py", "import fastapi", "Only adapters know optional dependencies"),
    ],
)
def test_an_import_against_the_architecture_is_refused(
    package: Path,
    module: str,
    line: str,
    contract: str,
) -> None:
    with (package / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")

    checked = _lint(package.parent)

    assert checked.returncode == 1
    assert f"{contract} BROKEN" in checked.stdout
