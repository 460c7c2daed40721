"""Servers that the tests of adapters share: each is started once in a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from pytest_asgi.adapters.postgres import PostgresOpener


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresOpener]:
    """A PostgreSQL server of our own."""
    with closing(PostgresOpener(None)) as opener:
        yield opener
