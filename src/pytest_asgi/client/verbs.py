"""`get()`, `post()` and their kin, which hand on no more than they were given.

httpx2's own hand on every option that there is, in a coroutine of its own. Beside a fast path that
is a considerable part of the whole.
"""

from __future__ import annotations

import inspect
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def make_verb(own: Callable[..., Any], *, takes_body: bool = False) -> Callable[..., Any]:
    """Return a method that does what httpx2's own does.

    Args:
        own: The method of httpx2. It has the last word on options, unless it takes all of them.
        takes_body: Whether it takes everything that `request()` takes.
    """
    method = own.__name__.upper()
    is_async = inspect.iscoroutinefunction(own)
    if is_async and sys.version_info < (3, 12):
        return own  # Ours could not be told for what it is, and mocks of a client ask.

    if takes_body:

        @wraps(own)
        def send(self: Any, url: Any, **options: Any) -> Any:
            __tracebackhide__ = True
            return self.request(method, url, **options)

    else:

        @wraps(own)
        def send(self: Any, url: Any, **options: Any) -> Any:
            __tracebackhide__ = True
            return own(self, url, **options) if options else self.request(method, url)

    if sys.version_info >= (3, 12) and is_async:
        inspect.markcoroutinefunction(send)
    return send
