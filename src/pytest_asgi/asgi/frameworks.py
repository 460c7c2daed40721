"""What is asked about frameworks that nobody here knows: variables, set by who knows them."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeAlias

DeclaresLifespan: TypeAlias = Callable[[object], bool]


def _knows_none(app: object) -> bool:  # noqa: ARG001 - the answer is the same for all
    return False


# Whether an app was given something to do at startup or shutdown; unset in plain scripts.
declares_lifespan: ContextVar[DeclaresLifespan] = ContextVar(
    "pytest_asgi_declares_lifespan", default=_knows_none
)
