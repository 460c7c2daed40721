"""Look into an engine's pool: how many connections wait, how many are in use."""

from sqlalchemy import AsyncAdaptedQueuePool

from shop.database import Database


def pool_of(database: Database) -> AsyncAdaptedQueuePool:
    """Return the pool, with the type that the engine does not promise."""
    pool = database.engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    return pool
