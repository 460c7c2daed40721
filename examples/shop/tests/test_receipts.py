"""The background task: a receipt goes out after the response."""

import logging

import pytest
from pytest_asgi import AsyncClient, Database

from shop.mailer import Letter, LogMailer
from shop.models import EventKind, OrderEvent, Product
from tests.people import Outbox, Person

TWO_LAMPS = {"lines": [{"sku": "lamp", "quantity": 2}]}


async def test_the_buyer_gets_a_receipt(
    client: AsyncClient, outbox: Outbox, alice: Person, lamp: Product
) -> None:
    await client.post("/orders", json=TWO_LAMPS, headers=alice.headers)

    [letter] = outbox.letters
    assert letter.to == "alice@example.com"
    assert letter.subject == "Your order 1"
    assert letter.body == "Dear Alice,\n2 x Lamp\nTotal: 50.00"


async def test_the_receipt_is_noted_in_the_history(
    client: AsyncClient, db: Database, alice: Person, lamp: Product
) -> None:
    response = await client.post("/orders", json=TWO_LAMPS, headers=alice.headers)

    history = await db.all(OrderEvent, order_id=response.json()["id"])
    assert [event.kind for event in history] == [EventKind.PLACED, EventKind.RECEIPT_SENT]


async def test_a_refused_order_sends_nothing(
    client: AsyncClient, outbox: Outbox, alice: Person, lamp: Product
) -> None:
    body = {"lines": [{"sku": "lamp", "quantity": 4}]}

    response = await client.post("/orders", json=body, headers=alice.headers)

    assert response.status_code == 409
    assert outbox.letters == []


async def test_an_order_stands_even_if_its_receipt_fails(
    client: AsyncClient, db: Database, outbox: Outbox, alice: Person, lamp: Product
) -> None:
    outbox.failure = ConnectionError("the mail server is down")

    with pytest.raises(ConnectionError, match="mail server"):
        await client.post("/orders", json=TWO_LAMPS, headers=alice.headers)

    assert (await db.one(OrderEvent)).kind == EventKind.PLACED


async def test_letters_go_to_the_log_while_nobody_delivers_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="shop")

    await LogMailer().send(Letter("alice@example.com", "Your order 1", "Dear Alice"))

    assert caplog.messages == ["letter to alice@example.com: Your order 1"]
