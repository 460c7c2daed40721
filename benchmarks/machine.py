"""Where and with what the numbers were made."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_DISTRIBUTIONS = (
    "pytest-asgi",
    "pytest",
    "pytest-asyncio",
    "anyio",
    "greenlet",
    "httpx2",
    "httpx",
    "async-asgi-testclient",
    "starlette",
    "fastapi",
    "pydantic",
)


def describe_machine() -> dict[str, str]:
    """Return what a reader must know before comparing these numbers with others."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _name_processor(),
        "processors": str(os.cpu_count()),
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
    }


def list_versions() -> dict[str, str]:
    """Return the installed versions of us, of what we stand on and of our peers."""
    versions = {}
    for distribution in _DISTRIBUTIONS:
        try:
            versions[distribution] = version(distribution)
        except PackageNotFoundError:
            versions[distribution] = "not installed"
    return versions


def _name_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
