"""What routes ask for: a session, the user, the feed, somebody who sends receipts."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from shop.database import Database
from shop.feed import Feed
from shop.mailer import LogMailer, Mailer
from shop.models import Order, User
from shop.orders import find_order
from shop.receipts import Receipts
from shop.users import find_by_token

bearer = HTTPBearer(auto_error=False)


def get_database(connection: HTTPConnection) -> Database:
    database: Database = connection.state.database
    return database


def get_feed(connection: HTTPConnection) -> Feed:
    feed: Feed = connection.state.feed
    return feed


def get_mailer() -> Mailer:
    return LogMailer()


DatabaseDep = Annotated[Database, Depends(get_database)]
FeedDep = Annotated[Feed, Depends(get_feed)]
MailerDep = Annotated[Mailer, Depends(get_mailer)]


def get_receipts(database: DatabaseDep, mailer: MailerDep, feed: FeedDep) -> Receipts:
    return Receipts(database, mailer, feed)


ReceiptsDep = Annotated[Receipts, Depends(get_receipts)]


async def get_session(database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    async with database.session() as session:
        yield session


# Closed before the response goes out: a long stream must not sit on a connection.
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


async def current_user(session: SessionDep, credentials: Credentials) -> User:
    user = await find_by_token(session, credentials.credentials) if credentials else None
    if user is None:
        raise HTTPException(
            401,
            "Send the token that you got when you signed up.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return user


CurrentUser = Annotated[User, Depends(current_user)]


async def own_order(order_id: int, session: SessionDep, user: CurrentUser) -> Order:
    return await find_order(session, user, order_id)


OwnOrder = Annotated[Order, Depends(own_order)]
