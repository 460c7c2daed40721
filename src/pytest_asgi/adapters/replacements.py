"""Replace what a module or a class holds, and put it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING = object()
_ORIGINAL = "_pytest_asgi_original"


class Replacements:
    """What has been replaced, to be put back in the opposite order.

    Where another run of pytest in this process has replaced something already, the newer run has
    its turn alone: a connection is redirected once.
    """

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any]] = []

    def wrap(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace the function `owner.name` by what `make` returns for it.

        A class method is given to `make` as the function that takes the class.
        """
        own = vars(owner).get(name, _MISSING)
        is_class_method = isinstance(own, classmethod)
        there = own.__func__ if isinstance(own, classmethod) else getattr(owner, name)
        original = getattr(there, _ORIGINAL, there)
        new = make(original)
        setattr(new, _ORIGINAL, original)
        self._replaced.append((owner, name, own))
        setattr(owner, name, classmethod(new) if is_class_method else new)

    def undo(self) -> None:
        """Put everything back."""
        while self._replaced:
            owner, name, own = self._replaced.pop()
            if own is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
