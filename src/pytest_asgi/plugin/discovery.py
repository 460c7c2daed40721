"""Find the app of a project, by reading files; nothing is imported before a test asks for it.

In this order: `asgi_app`; the entry point of FastAPI's own command line; `main.py`, `app.py` and
their like with `app`, `application` or `create_app` in it; Django's `ASGI_APPLICATION`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_asgi.errors import AppNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_asgi.plugin.module_text import ModuleText

_NAMES = ("app", "application", "create_app")
_FILES = ("main.py", "app.py", "asgi.py", "app/main.py", "app/app.py", "app/__init__.py")
_PATTERNS = (
    *("src/*/main.py", "src/*/app.py", "src/*/asgi.py", "*/main.py", "*/app.py", "*/asgi.py"),
    *("src/*/__init__.py", "*/__init__.py"),
)
_NO_PACKAGES = {"tests", "test", "docs", "examples", "scripts"}


class FoundApp(NamedTuple):
    """Where the app is.

    Attributes:
        path: `module:name`; a name that ends in `()` is a function that returns the app.
        root: The folder that the module is imported from.
        source: What told so, for people.
        is_django_setting: Whether `path` names a setting that holds the app's dotted path.
        file: The module's file; None when the project has named the module and not we.
    """

    path: str
    root: Path
    source: str
    is_django_setting: bool = False
    file: Path | None = None


def find_app(root: Path, named: str) -> FoundApp | None:
    """Find the app of the project in `root`.

    Args:
        root: The project's folder.
        named: `module:name` as the project has set it; empty when it has not.
    """
    if named:
        return _named(named, root, "asgi_app")
    return _from_fastapi_settings(root) or _from_files(root) or _from_django(root)


def not_found(root: Path) -> AppNotFoundError:
    """Return the error that tells where the app was looked for, and how to name it."""
    return AppNotFoundError(
        f"No app was found in {root}.",
        why=f"Looked for {', '.join(_NAMES)} in {', '.join(_FILES)}, and below src/*/ and */,"
        " for [tool.fastapi] in pyproject.toml, and for Django's ASGI_APPLICATION.",
        fix="Name it in pyproject.toml:\n\n"
        '    [tool.pytest.ini_options]\n    asgi_app = "package.module:app"\n\n'
        "or give it by a fixture:\n\n"
        '    @pytest.fixture(scope="session")\n    def app():\n        return create_app()',
    )


def _from_fastapi_settings(root: Path) -> FoundApp | None:
    # https://fastapi.tiangolo.com/fastapi-cli/#configure-the-app-entrypoint-in-pyprojecttoml
    try:
        text = (root / "pyproject.toml").read_text(encoding="utf-8")
        entrypoint: Any = _parse_toml(text) if "fastapi" in text else None
    except (OSError, ValueError):  # also what is no TOML
        return None
    for key in ("tool", "fastapi", "entrypoint"):
        entrypoint = entrypoint.get(key) if isinstance(entrypoint, dict) else None
    if not isinstance(entrypoint, str) or ":" not in entrypoint:
        return None
    return _named(entrypoint, root, "pyproject.toml [tool.fastapi]")


def _parse_toml(text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - costs more than the rest of the plugin; few runs need it

    return tomllib.loads(text)


def _named(path: str, root: Path, source: str) -> FoundApp:
    """Return the app that the project has named; its module may lie in `src`."""
    package = path.partition(":")[0].partition(".")[0]
    for base in (root, root / "src"):
        if (base / package).is_dir() or (base / f"{package}.py").is_file():
            return FoundApp(path, base, source)
    return FoundApp(path, root, source)


def _from_files(root: Path) -> FoundApp | None:
    uncallable = None
    for file in _candidates(root):
        from pytest_asgi.plugin.module_text import read_module  # noqa: PLC0415 - not every run

        text = read_module(file, mentioning=b"app")
        for name in _NAMES:
            if name in text.names:
                found = _found_in(file, text, name, root)
                if not text.needs_arguments(name) or name != "create_app":
                    return found
                uncallable = uncallable or found
    return uncallable


def _candidates(root: Path) -> Iterator[Path]:
    for name in _FILES:
        if (root / name).is_file():
            yield root / name
    for pattern in _PATTERNS:
        for file in sorted(root.glob(pattern)):
            if file.parent.name not in _NO_PACKAGES and not file.parent.name.startswith("."):
                yield file


def _found_in(file: Path, text: ModuleText, name: str, root: Path) -> FoundApp:
    base = _import_root(file, text, root)
    parts = file.relative_to(base).with_suffix("").parts
    module = ".".join(part for part in parts if part != "__init__")
    path = f"{module}:{name}()" if name.startswith("create_") else f"{module}:{name}"
    return FoundApp(path, base, str(file.relative_to(root)), file=file)


def _import_root(file: Path, text: ModuleText, root: Path) -> Path:
    """Return the folder that the module's own imports expect to be found in."""
    folder = file.parent
    if folder == root:
        return root
    for package in (folder.parent, folder):
        if package != root and _is_package(package, text):
            return package.parent
    if text.is_relative:
        return folder.parent
    return folder if folder == root / "src" or _imports_neighbours(file, text) else folder.parent


def _is_package(folder: Path, text: ModuleText) -> bool:
    return folder.name in text.packages or (folder / "__init__.py").is_file()


def _imports_neighbours(file: Path, text: ModuleText) -> bool:
    """Tell whether the module is meant to be started in its own folder."""
    neighbours = {path.stem for path in file.parent.iterdir() if path != file}
    above = {path.stem for path in file.parent.parent.iterdir()}
    return bool(text.packages & (neighbours - above))


def _from_django(root: Path) -> FoundApp | None:
    settings = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not settings:
        return None
    path = f"{settings}:ASGI_APPLICATION"
    return FoundApp(path, root, "DJANGO_SETTINGS_MODULE", is_django_setting=True)
