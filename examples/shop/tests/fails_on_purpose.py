"""A test that fails on purpose, to show what a check of the database says when it fails.

pytest does not collect a file of this name by itself; `scripts/demo` names it, after the suite.
"""

from pytest_asgi import AsyncClient, Database, Inserted, Updated

from shop.models import Product
from tests.people import Person


async def test_an_order_takes_two_lamps_from_stock(
    client: AsyncClient, db: Database, alice: Person, lamp: Product
) -> None:
    body = {"lines": [{"sku": lamp.sku, "quantity": 2}]}

    async with db.changes() as changes:
        await client.post("/orders", json=body, headers=alice.headers)

    assert changes == {
        "products": [Updated(stock=(3, 2))],  # there is one left: two were taken
        "orders": [Inserted(..., id=1, status="placed")],
        "order_lines": [Inserted(..., order_id=1, quantity=2)],
        "order_events": [Inserted(..., kind="placed")],  # and the receipt is forgotten
    }
