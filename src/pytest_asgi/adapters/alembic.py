"""A schema that Alembic's migrations make.

A project's `env.py` connects as it always does, also with `asyncio.run`: the connection goes where
the redirect sends it.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_asgi.database.redirect import building
from pytest_asgi.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Generator

    from alembic.config import Config

    from pytest_asgi.database.stores import SqlStore


class AlembicSchema:
    """Upgrades to the newest revisions.

    Args:
        path: The project's `alembic.ini`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def build(self, store: SqlStore) -> None:
        """Run `alembic upgrade heads`."""
        from alembic import command

        config = self._config()
        with building(store), _logging_kept():
            command.upgrade(config, "heads")

    def inputs(self) -> bytes:
        """Return the settings, `env.py` and every revision."""
        folder = Path(self._config().get_main_option("script_location") or ".")
        files = [self._path, *sorted(folder.rglob("*.py")), *sorted(folder.rglob("*.sql"))]
        return b"\0".join(str(file.name).encode() + b":" + file.read_bytes() for file in files)

    def _config(self) -> Config:
        try:
            from alembic.config import Config
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"asgi_schema = {self._path.name} needs the package 'alembic'.",
                why="The schema is made by the project's migrations.",
                fix="Install it with\n\n    pip install alembic",
            ) from error
        config = Config(str(self._path))
        location = config.get_main_option("script_location")
        if location and not Path(location).is_absolute():
            # Alembic reads it from the working directory, which is not always the project's.
            config.set_main_option("script_location", str(self._path.parent / location))
        return config


@contextmanager
def _logging_kept() -> Generator[None]:
    """Put logging back: most `env.py` configure it, which switches every other logger off."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    loggers = {
        logger: (logger.level, logger.disabled, logger.propagate, logger.handlers[:])
        for logger in logging.Logger.manager.loggerDict.values()
        if isinstance(logger, logging.Logger)
    }
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
        for logger, (own_level, disabled, propagate, own_handlers) in loggers.items():
            logger.setLevel(own_level)
            logger.disabled, logger.propagate = disabled, propagate
            logger.handlers[:] = own_handlers
