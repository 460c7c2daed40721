"""The engines that the app has made, also those that have not connected yet."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from sqlalchemy.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator


def find_engines() -> Iterator[Engine]:
    """Yield every engine there is, in no order that means anything."""
    for thing in gc.get_referrers(Engine):
        if type(thing) is Engine:
            yield thing
