"""What SQLAlchemy knows of a class."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapper


def mapper_of(what: object) -> Mapper[Any] | None:
    """Return the mapper of a mapped class."""
    if "sqlalchemy" not in sys.modules or not isinstance(what, type):
        return None
    from sqlalchemy import inspect
    from sqlalchemy.orm import Mapper

    mapper: Any = inspect(what, raiseerr=False)
    return mapper if isinstance(mapper, Mapper) else None
