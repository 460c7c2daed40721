"""An app with MongoDB: the module's own client, made at import, before any loop runs."""

from fastapi import FastAPI
from motor.motor_asyncio import AsyncIOMotorClient

client: AsyncIOMotorClient = AsyncIOMotorClient("mongodb://catalogue.example.com")
items = client.shop.items

app = FastAPI()


@app.post("/items/{name}", status_code=201)
async def add(name: str) -> dict[str, str]:
    await items.insert_one({"_id": name})
    return {"name": name}
