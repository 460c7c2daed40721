"""What is for sale, and how much of it is left."""

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import ConflictError, NotAllowedError, NotFoundError
from shop.models import Product, User
from shop.schemas import ProductIn


async def find_product(session: AsyncSession, sku: str) -> Product:
    """Return the product, or raise `NotFoundError`."""
    product = await session.scalar(select(Product).where(Product.sku == sku))
    if product is None:
        raise NotFoundError(f"There is no product {sku}.")
    return product


async def list_products(
    session: AsyncSession, *, max_price_cents: int | None, limit: int
) -> list[Product]:
    """Return products ordered by their SKU."""
    query = select(Product).order_by(Product.sku).limit(limit)
    if max_price_cents is not None:
        query = query.where(Product.price_cents <= max_price_cents)
    return list(await session.scalars(query))


async def offer_product(session: AsyncSession, seller: User, wanted: ProductIn) -> Product:
    """Add a product to the shop."""
    product = Product(**wanted.model_dump(), seller_id=seller.id)
    session.add(product)
    try:
        await session.commit()
    except IntegrityError:
        raise ConflictError(f"{wanted.sku} is for sale already.") from None
    return product


async def restock(session: AsyncSession, seller: User, sku: str, quantity: int) -> Product:
    """Add pieces of a product that `seller` sells."""
    product = await find_product(session, sku)
    if product.seller_id != seller.id:
        raise NotAllowedError(f"Only its seller can restock {sku}.")
    product = await put_into_stock(session, product.id, quantity)
    await session.commit()
    return product


async def put_into_stock(session: AsyncSession, product_id: int, quantity: int) -> Product:
    """Add pieces, in one statement, so that nobody's change is lost."""
    statement = (
        update(Product)
        .where(Product.id == product_id)
        .values(stock=Product.stock + quantity)
        .returning(Product)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).one()


async def take_from_stock(session: AsyncSession, sku: str, quantity: int) -> Product:
    """Take pieces if there are enough, in one statement: two orders may want the last one."""
    statement = (
        update(Product)
        .where(Product.sku == sku, Product.stock >= quantity)
        .values(stock=Product.stock - quantity)
        .returning(Product)
        .execution_options(populate_existing=True)
    )
    taken = (await session.scalars(statement)).one_or_none()
    if taken is None:
        product = await find_product(session, sku)
        raise ConflictError(f"Only {product.stock} of {sku} left.")
    return taken
