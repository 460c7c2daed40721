"""time-machine: what `time.time()` and `datetime.now()` tell, beside the time of the loop."""

from __future__ import annotations

import time
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator


class WallTime:
    """The time of day; it is left alone if time-machine is not installed.

    Attributes:
        is_movable: Whether it is installed.
    """

    def __init__(self) -> None:
        self.is_movable = find_spec("time_machine") is not None
        self._traveller: Any = None

    @contextmanager
    def standing_still(self) -> Generator[None]:
        """Let it stand still in the block, except for the moves."""
        if not self.is_movable:
            yield
            return
        from time_machine import travel

        with travel(time.time(), tick=False) as self._traveller:
            yield

    def move(self, seconds: float) -> None:
        """Let it go forward."""
        if self._traveller is not None:
            self._traveller.shift(seconds)
