"""An app with a database, opened by its lifespan."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosqlite
from fastapi import FastAPI

# Made at import, before any loop runs: with a loop per test this fails in the second test.
writing = asyncio.Lock()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with aiosqlite.connect(":memory:") as database:
        await database.execute("CREATE TABLE entries (name TEXT NOT NULL)")
        app.state.database = database
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/entries/{name}", status_code=201)
async def sign(name: str) -> dict[str, str]:
    database: aiosqlite.Connection = app.state.database
    async with writing:
        await database.execute("INSERT INTO entries VALUES (?)", [name])
        await database.commit()
    return {"name": name}


async def read_names() -> list[str]:
    """Return who signed, in order: for tests and other code of this service."""
    database: aiosqlite.Connection = app.state.database
    rows = await database.execute_fetchall("SELECT name FROM entries ORDER BY rowid")
    return [row[0] for row in rows]
