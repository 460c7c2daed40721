"""How a refused connection reads: which database, by which line, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_asgi.database.connections import describe
from pytest_asgi.errors import DatabaseRefusedError

if TYPE_CHECKING:
    from pytest_asgi.database.connections import Place
    from pytest_asgi.database.targets import Target

_INSTEAD = {
    "postgresql": "Connect with asyncpg or psycopg 3, which are redirected. ",
    "mysql": "Let tests use PostgreSQL or SQLite, if SQLAlchemy or Django stands between. ",
    "mongodb": "Connect with PyMongo or Motor, which are redirected. ",
    "redis": "Connect with redis-py, which is redirected. ",
}


def refusal(target: Target, driver: str, place: Place | None) -> DatabaseRefusedError:
    """Return the error of a connection to `target` that must not be opened.

    Args:
        target: What the app asked for.
        driver: The package that was to connect.
        place: The line of the user's own code that connects.
    """
    return DatabaseRefusedError(
        f"{driver} was about to connect to {target}, at {describe(place)}. No socket was opened.",
        why=f"Tests reach private databases only, and pytest-asgi does not redirect {driver}.",
        fix=_INSTEAD.get(target.kind, "")
        + "If tests may really reach this database, allow it in pyproject.toml:\n\n"
        "    [tool.pytest.ini_options]\n"
        f'    asgi_database_allow = "{target}"',
    )
