"""Advice for a test whose app fails because nobody has run its lifespan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asgi.asgi.frameworks import declares_lifespan
from pytest_asgi.asgi.stacks import warn_user
from pytest_asgi.errors import AsgiWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_asgi.asgi.types import ASGIApp

# What looking for something raises that a start-up has not put there: in the state, in a dict,
# in a context variable, or in what is still None.
_MISSING = (AttributeError, LookupError)


class LifespanAdvice:
    """Warns once, when it explains why an app fails.

    Args:
        fix: How the lifespan is run, as the end of a sentence.
    """

    def __init__(self, app: ASGIApp, fix: str) -> None:
        self._app = app
        self._fix = fix
        self._is_given = False

    def consider(self, failure: BaseException, *, is_raised: bool) -> None:
        """Look at what the app let escape.

        Where warnings are errors, a failure that is raised gets a note instead: the test is to
        see the failure.
        """
        if self._is_given or not declares_lifespan.get()(self._app):
            return
        missing = next((error for error in _causes(failure) if isinstance(error, _MISSING)), None)
        if missing is not None:
            self._is_given = True
            advice = (
                f"The app has a lifespan, and this client did not run it. Perhaps that is why "
                f"something is missing: {missing!r}. {self._fix}"
            )
            try:
                warn_user(advice, AsgiWarning)
            except AsgiWarning:
                if not is_raised:
                    raise
                failure.add_note(advice)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, the members of a group, and what they were raised from."""
    seen: set[int] = set()
    errors: list[BaseException | None] = [error]
    while errors:
        found = errors.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            yield found
            errors += [found.__context__, found.__cause__]
            if isinstance(found, BaseExceptionGroup):
                errors += found.exceptions
