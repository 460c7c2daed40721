"""Which apps were given something to do at startup or shutdown, as their frameworks tell it.

Nothing here imports a framework: an app is known by the class that its module defines.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# How middleware around an app names what it wraps, as Starlette's own does.
_WRAPPED = ("app", "_app", "application", "asgi_app")


def has_lifespan(app: object) -> bool:
    """Tell whether `app`, or what it wraps, has a lifespan; `False` when that cannot be known."""
    return any(
        _KNOWN[name](each)
        for each in _unwrap(app)
        for name in (f"{kind.__module__}.{kind.__qualname__}" for kind in type(each).__mro__)
        if name in _KNOWN
    )


def _unwrap(app: object) -> Iterator[object]:
    """Yield an app, and, while it is of no framework, the one that it wraps."""
    seen: set[int] = set()
    while callable(app) and id(app) not in seen:
        seen.add(id(app))
        yield app
        attributes = getattr(app, "__dict__", {})
        app = next((attributes[name] for name in _WRAPPED if name in attributes), None)


def _starlette(app: Any) -> bool:
    """Starlette and FastAPI: a context that was given, or handlers, as Starlette had them."""
    router = app.router
    handlers = getattr(router, "on_startup", None) or getattr(router, "on_shutdown", None)
    return bool(handlers) or not _is_default(router.lifespan_context)


def _is_default(context: Any) -> bool:
    """Tell whether this is the context of a router that was given none."""
    if type(context).__name__ == "_DefaultLifespan":
        return True
    # FastAPI merges the contexts of included routers, the default ones too.
    function = inspect.unwrap(context)
    if getattr(function, "__qualname__", "") != "_merge_lifespan_context.<locals>.merged_lifespan":
        return False
    merged = inspect.getclosurevars(function).nonlocals
    return _is_default(merged["original_context"]) and _is_default(merged["nested_context"])


def _litestar(app: Any) -> bool:
    return bool(app.on_startup or app.on_shutdown or app._lifespan_managers)


def _quart(app: Any) -> bool:
    return bool(app.before_serving_funcs or app.after_serving_funcs or app.while_serving_gens)


_KNOWN: dict[str, Callable[[Any], bool]] = {
    "starlette.applications.Starlette": _starlette,
    "litestar.app.Litestar": _litestar,
    "quart.app.Quart": _quart,
}
