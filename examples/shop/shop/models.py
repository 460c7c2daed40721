"""The tables, and the rules that the database itself keeps."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Enum, ForeignKey, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Model(DeclarativeBase):
    """The base of all tables."""


class OrderStatus(StrEnum):
    PLACED = "placed"
    CANCELLED = "cancelled"


class EventKind(StrEnum):
    PLACED = "placed"
    RECEIPT_SENT = "receipt_sent"
    CANCELLED = "cancelled"


def text_enum(kind: type[StrEnum]) -> Enum:
    """Return a text column's type that only takes the values of `kind`."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        values_callable=lambda members: [member.value for member in members],
    )


class User(Model):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)


class Product(Model):
    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price_cents > 0", name="price_is_positive"),
        CheckConstraint("stock >= 0", name="stock_is_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    price_cents: Mapped[int]
    stock: Mapped[int]
    seller_id: Mapped[int] = mapped_column(ForeignKey(User.id))


class Order(Model):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    buyer_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    status: Mapped[OrderStatus] = mapped_column(text_enum(OrderStatus), default=OrderStatus.PLACED)
    placed_at: Mapped[datetime] = mapped_column(server_default=func.now())

    buyer: Mapped[User] = relationship(lazy="raise")
    lines: Mapped[list["OrderLine"]] = relationship(lazy="selectin")
    history: Mapped[list["OrderEvent"]] = relationship(order_by="OrderEvent.id", lazy="raise")

    @property
    def total_cents(self) -> int:
        return sum(line.quantity * line.price_cents for line in self.lines)


class OrderLine(Model):
    """One product of an order, at the price of that moment."""

    __tablename__ = "order_lines"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity_is_positive"),)

    order_id: Mapped[int] = mapped_column(
        ForeignKey(Order.id, ondelete="CASCADE"), primary_key=True
    )
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id), primary_key=True)
    quantity: Mapped[int]
    price_cents: Mapped[int]

    product: Mapped[Product] = relationship(lazy="joined")

    @property
    def sku(self) -> str:
        return self.product.sku


class OrderEvent(Model):
    """Something that happened to an order; rows are only ever added."""

    __tablename__ = "order_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey(Order.id, ondelete="CASCADE"))
    kind: Mapped[EventKind] = mapped_column(text_enum(EventKind))
