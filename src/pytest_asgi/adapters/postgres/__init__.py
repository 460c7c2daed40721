"""PostgreSQL: the server, the private databases, and how they are put back."""

from __future__ import annotations

try:
    import psycopg as _psycopg  # noqa: F401 - to say in our own words that it is missing
except ModuleNotFoundError as error:
    from pytest_asgi.errors import MissingExtraError

    raise MissingExtraError(
        "The tests use PostgreSQL, and the package 'psycopg' is not installed.",
        why="Test databases are made and put back with it, whatever driver the app uses.",
        fix="Install it:\n\n    pip install 'pytest-asgi[postgres]'",
    ) from error

from pytest_asgi.adapters.postgres.opener import PostgresOpener

__all__ = ["PostgresOpener"]
