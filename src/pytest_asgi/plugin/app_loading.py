"""Import the app that was found, or call the function that makes it."""

from __future__ import annotations

import inspect
import sys
from functools import cache, partial
from pathlib import Path
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from pytest_asgi.errors import AppError, AppNotFoundError
from pytest_asgi.plugin.import_path import NoSuchNameError, import_object
from pytest_asgi.plugin.module_text import read_module

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from pytest_asgi.plugin.discovery import FoundApp

    Wait = Callable[[Coroutine[Any, Any, Any]], Any]


__tracebackhide__ = True  # a failure ends in the user's line

_FUNCTIONS = (FunctionType, MethodType, partial, type(cache(len)))
_CALLS = {"scope", "environ"}  # the first parameter of an app; WSGI's is the client's to explain


def load_app(found: FoundApp, *, wait: Wait) -> Any:
    """Return the app itself.

    Args:
        found: Where it is.
        wait: Waits for the coroutine of an async function that makes the app.

    Raises:
        AppError: The app is not there, is no app, or cannot be had without arguments.
        ImportError: The module cannot be imported; whatever else its code raises passes too.
    """
    path = _django_app(found) if found.is_django_setting else found.path
    thing = _import(path.removesuffix("()"), found)
    if callable(thing) and (path.endswith("()") or _is_factory(thing)):
        thing = _make(thing, path.removesuffix("()"), found)
        if inspect.iscoroutine(thing):
            thing = wait(thing)
    if not callable(thing):
        raise AppNotFoundError(
            f"{found.path} is no ASGI app: {thing!r}.",
            why=f"An ASGI app is a callable that takes scope, receive and send ({found.source}).",
            fix='Name the app itself, or a function that returns it: asgi_app = "module:name".',
        )
    return thing


def _import(path: str, found: FoundApp) -> Any:
    module, _, name = path.partition(":")
    if found.file is not None:
        module = _name_of_imported(found.file) or module
        if module not in sys.modules:
            _refuse_server(found.file, found.source)
    try:
        thing = import_object(f"{module}:{name}", root=found.root)
    except NoSuchNameError as error:
        if _is_another(module, found):
            raise _name_is_taken(module, found) from error
        raise _no_such_name(path, found, error) from error
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # of the module's own imports
        raise _no_such_module(module, found, error) from error
    if _is_another(module, found):
        raise _name_is_taken(module, found)
    return thing


def _name_of_imported(file: Path) -> str | None:
    """Return the name under which the project itself has imported a file: one app, not two."""
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__dict__", {}).get("__file__")
        if name != "__main__" and isinstance(origin, str) and _is_same_file(Path(origin), file):
            return name
    return None


def _is_same_file(one: Path, other: Path) -> bool:
    return one.name == other.name and one.resolve() == other.resolve()


def _is_another(module: str, found: FoundApp) -> bool:
    """Tell whether a module is not the file that was found.

    A package may be the installed one: then the tests use that one too.
    """
    if found.file is None or "." in module or found.file.name == "__init__.py":
        return False
    return not _is_same_file(Path(sys.modules[module].__file__ or ""), found.file)


def _is_factory(thing: Callable[..., Any]) -> bool:
    """Tell whether a function makes the app, and is not the app."""
    if not isinstance(thing, _FUNCTIONS):
        return False
    parameters = _parameters(thing)
    if not _required(parameters):
        takes_any = any(each.kind is each.VAR_POSITIONAL for each in parameters)
        return not (takes_any and inspect.iscoroutinefunction(thing))
    return parameters[0].name not in _CALLS and not _takes_three(thing)


def _takes_three(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError:
        return False
    return True


def _required(parameters: Iterable[inspect.Parameter]) -> list[str]:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind not in variable
    ]


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return [*inspect.signature(function).parameters.values()]
    except ValueError:  # written in C
        return []


def _make(factory: Callable[..., Any], path: str, found: FoundApp) -> Any:
    missing = _required(_parameters(factory))
    if not missing:
        return factory()
    module, _, name = path.partition(":")
    is_async = inspect.iscoroutinefunction(factory)
    arguments = ", ".join(f"{each}=…" for each in missing)
    raise AppNotFoundError(
        f"{found.path} cannot be called: it needs {' and '.join(missing)}.",
        why=f"A function that makes the app is called without arguments ({found.source}).",
        fix="Call it in a fixture:\n\n"
        f"    from {module} import {name.partition('.')[0]}\n\n"
        '    @pytest.fixture(scope="session")\n'
        f"    {'async ' if is_async else ''}def app():\n"
        f"        return {'await ' if is_async else ''}{name}({arguments})",
    )


def _django_app(found: FoundApp) -> str:
    # https://docs.djangoproject.com/en/stable/ref/settings/#asgi-application
    try:
        dotted = import_object(found.path, root=found.root)
    except NoSuchNameError:  # only servers such as Daphne ask for the setting
        return "django.core.asgi:get_asgi_application()"
    import_object("django:setup", root=found.root)()
    module, _, name = dotted.rpartition(".")
    return f"{module}:{name}"


def _refuse_server(file: Path, source: str) -> None:
    line = read_module(file, mentioning=b".run").server_line
    if line is not None:
        raise AppError(
            f"{source} starts a server when it is imported, in line {line}.",
            why="What follows, and every test, would wait until the server stops.",
            fix='Start it only when the file is run: below `if __name__ == "__main__":`.',
        )


def _no_such_name(path: str, found: FoundApp, error: Exception) -> AppNotFoundError:
    return AppNotFoundError(
        f"{path} does not exist: {error}.",
        why=f"{found.source} says that the app is there.",
        fix='Name the app in pyproject.toml: asgi_app = "module:name".',
    )


def _no_such_module(module: str, found: FoundApp, error: ModuleNotFoundError) -> AppNotFoundError:
    if found.file is not None:
        return _name_is_taken(module, found)
    return AppNotFoundError(
        f"{found.path} cannot be imported: {error}.",
        why=f"{found.source} names it, and neither {found.root} nor another folder of the import"
        " path has such a module.",
        fix='Name the module as a test would import it: asgi_app = "package.module:name".',
    )


def _name_is_taken(module: str, found: FoundApp) -> AppNotFoundError:
    package = module.partition(".")[0]
    origin = getattr(sys.modules.get(package), "__file__", None) or "built into Python"
    return AppNotFoundError(
        f"{found.source} cannot be imported as {module}: {package} is another module ({origin}).",
        why="Python has one module of a name: the one that was imported first.",
        fix=f"Rename {package}, or import the app by another name: "
        'asgi_app = "package.module:name".',
    )
