"""An order's history as server-sent events."""

import json

import pytest
from pytest_asgi import AsyncClient

from shop.models import Product
from tests.people import Person


@pytest.fixture
async def events_url(client: AsyncClient, alice: Person, lamp: Product) -> str:
    """Where to read what happened to an order that was placed and then cancelled."""
    body = {"lines": [{"sku": "lamp"}]}
    order = (await client.post("/orders", json=body, headers=alice.headers)).json()
    await client.post(f"/orders/{order['id']}/cancel", headers=alice.headers)
    return f"/orders/{order['id']}/events"


def parse(stream: str) -> list[dict[str, str]]:
    """Return the events of a stream, each as a mapping of its fields."""
    blocks = [block for block in stream.split("\n\n") if block]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


async def test_the_history_is_a_stream_of_events(
    client: AsyncClient, alice: Person, events_url: str
) -> None:
    response = await client.get(events_url, headers=alice.headers)

    assert response.headers["content-type"].startswith("text/event-stream")
    events = parse(response.text)
    assert [event["event"] for event in events] == ["placed", "receipt_sent", "cancelled"]
    assert json.loads(events[0]["data"]) == {"order_id": 1}


async def test_a_reader_who_comes_back_gets_the_rest(
    client: AsyncClient, alice: Person, events_url: str
) -> None:
    seen = parse((await client.get(events_url, headers=alice.headers)).text)[0]

    response = await client.get(events_url, headers=alice.headers | {"Last-Event-ID": seen["id"]})

    assert [event["event"] for event in parse(response.text)] == ["receipt_sent", "cancelled"]


async def test_others_read_nothing(client: AsyncClient, bob: Person, events_url: str) -> None:
    response = await client.get(events_url, headers=bob.headers)

    assert response.status_code == 404
