"""What a module would do when it is imported, as far as its text tells.

Only this module looks at syntax trees; nothing here imports or runs anything.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OWN_SCOPE = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
# Their objects are often named `app`, too. A Typer even takes the arguments of an ASGI app.
_OTHER_APPS = {"Bottle", "Celery", "Dash", "Flask", "QApplication", "Typer"}
_SERVERS = {"app", "application", "granian", "hypercorn", "uvicorn"}


@dataclass(frozen=True)
class ModuleText:
    """The statements of a module that run at its import.

    Attributes:
        nodes: Their syntax, without the inside of functions, classes and comprehensions.
        server_line: The line that starts a server whatever the circumstances, if one does.
    """

    nodes: tuple[ast.AST, ...] = ()
    server_line: int | None = None

    @cached_property
    def names(self) -> set[str]:
        """The names that are bound, if not to an app of another kind."""
        return {name for node in self.nodes for name in _names_bound_by(node)}

    @cached_property
    def packages(self) -> set[str]:
        """The first part of the name of each module that is imported."""
        return {name.partition(".")[0] for node in self.nodes for name in _imported_by(node)}

    @property
    def is_relative(self) -> bool:
        """Whether it imports from its own package."""
        return any(isinstance(node, ast.ImportFrom) and node.level for node in self.nodes)

    def needs_arguments(self, name: str) -> bool:
        """Tell whether `name` is a function that cannot be called without arguments."""
        functions = (node for node in self.nodes if isinstance(node, _OWN_SCOPE[:2]))
        return any(node.name == name and _has_required(node.args) for node in functions)


def read_module(file: Path, *, mentioning: bytes) -> ModuleText:
    """Read a module; one that cannot be read or parsed does nothing.

    Args:
        file: The module's file.
        mentioning: What a module of interest holds; parsing takes much longer than looking.
    """
    try:
        text = file.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python repeats them when it imports the module
            tree = ast.parse(text if mentioning in text else b"")
    except (OSError, SyntaxError, ValueError):
        return ModuleText()
    server_lines = (statement.lineno for statement in tree.body if _starts_server(statement))
    return ModuleText(tuple(_run_at_import(tree)), next(server_lines, None))


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if _binds_no_app(child):
            continue
        yield child
        if isinstance(child, ast.If) and _is_false_at_import(child.test):
            yield from _run_at_import(ast.Module(child.orelse, []))
        elif not isinstance(child, _OWN_SCOPE):
            yield from _run_at_import(child)


def _is_false_at_import(test: ast.expr) -> bool:
    return ast.unparse(test) in {
        "__name__ == '__main__'",
        "'__main__' == __name__",
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    }


def _binds_no_app(node: ast.AST) -> bool:
    match node:
        case ast.AnnAssign(value=None):
            return True
        case ast.Assign(value=ast.Call(func=made)) | ast.AnnAssign(value=ast.Call(func=made)):
            return ast.unparse(made).rpartition(".")[2] in _OTHER_APPS
        case _:
            return False


def _names_bound_by(node: ast.AST) -> Iterator[str]:
    match node:
        case (
            ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name)
        ):
            yield name
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.ImportFrom(names=aliases):
            yield from (alias.asname or alias.name for alias in aliases)
        case _:
            pass


def _imported_by(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases)
        case ast.ImportFrom(module=str(name), level=0):
            yield name
        case _:
            pass


def _starts_server(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), "run"))):
            return name in _SERVERS
        case _:
            return False


def _has_required(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    return len(arguments.defaults) < positional or None in arguments.kw_defaults
