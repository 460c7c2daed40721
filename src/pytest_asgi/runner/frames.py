"""The frames that code runs in, also across the greenlets that it has been started through."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import greenlet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


def frames_through_greenlets() -> Iterator[FrameType]:
    """Yield the frames that the caller runs in, from the innermost to the outermost.

    Where a greenlet begins, those follow in which its parent waits for it.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, in spite of its name
    current: greenlet.greenlet | None = greenlet.getcurrent()
    while current is not None:
        while frame is not None:
            yield frame
            frame = frame.f_back
        current = current.parent
        frame = None if current is None else current.gr_frame
