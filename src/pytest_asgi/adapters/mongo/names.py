"""What the app's databases are called on a server that holds those of others as well."""

from __future__ import annotations

from typing import NamedTuple

SYSTEM_DATABASES = frozenset({"admin", "config", "local", "$external"})

OURS = "asgi_test_"
"""What the names of our databases begin with: no other one is ever changed."""


class Names(NamedTuple):
    """The names of one store's databases.

    Attributes:
        prefix: What they begin with on the server; empty on a server of our own.
    """

    prefix: str

    def on_server(self, database: str) -> str:
        """Return what a database of the app is called on the server."""
        if database in SYSTEM_DATABASES or database.startswith(self.prefix):
            return database
        return self.prefix + database

    def in_app(self, name: str) -> str:
        """Return what a database of the server is called in the app."""
        return name.removeprefix(self.prefix)

    def are_of(self, name: str) -> bool:
        """Tell whether a database of the server is one of this store."""
        if self.prefix:
            return name.startswith(self.prefix)
        return name not in SYSTEM_DATABASES and not name.startswith(OURS)
