"""The engine, its sessions and its tables. Nothing here knows what the shop sells."""

from typing import Any, Self

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from shop.models import Model


class Database:
    """One engine, opened by the app's lifespan and closed with it."""

    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(url)
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine.sync_engine, "connect", enforce_foreign_keys)

    async def __aenter__(self) -> Self:
        await self.create_tables()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.dispose()

    def session(self) -> AsyncSession:
        """Return a new session; use it with `async with`."""
        return self.sessions()

    async def create_tables(self) -> None:
        """Create the tables that are not there yet."""
        async with self.engine.begin() as connection:
            await connection.run_sync(Model.metadata.create_all)


def enforce_foreign_keys(connection: Any, _: object) -> None:
    """Switch foreign keys on: SQLite leaves them off in every new connection."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
