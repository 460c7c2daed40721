"""What goes over the wire, in and out."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shop.models import OrderStatus

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,
        pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    ),
]
Sku = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Quantity = Annotated[int, Field(gt=0, le=1000)]


class Incoming(BaseModel):
    """A body that a client sends: unknown fields are a mistake."""

    model_config = ConfigDict(extra="forbid")


class Outgoing(BaseModel):
    """A body that we send, read from a row."""

    model_config = ConfigDict(from_attributes=True)


class UserIn(Incoming):
    email: Email
    name: Text


class UserOut(Outgoing):
    id: int
    email: str
    name: str


class NewUserOut(UserOut):
    """A user who just signed up: the only time that the token is shown."""

    token: str


class ProductIn(Incoming):
    sku: Sku
    name: Text
    price_cents: Annotated[int, Field(gt=0)]
    stock: Annotated[int, Field(ge=0)] = 0


class ProductOut(Outgoing):
    sku: str
    name: str
    price_cents: int
    stock: int


class RestockIn(Incoming):
    quantity: Quantity


class OrderLineIn(Incoming):
    sku: Sku
    quantity: Quantity = 1


class OrderIn(Incoming):
    lines: Annotated[list[OrderLineIn], Field(min_length=1, max_length=50)]


class OrderLineOut(Outgoing):
    sku: str
    quantity: int
    price_cents: int


class OrderOut(Outgoing):
    id: int
    status: OrderStatus
    placed_at: datetime
    total_cents: int
    lines: list[OrderLineOut]
