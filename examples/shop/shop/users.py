"""Who uses the shop: sign up, and recognise somebody by a token."""

import hashlib
import secrets

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import ConflictError
from shop.models import User


async def sign_up(session: AsyncSession, *, email: str, name: str) -> tuple[User, str]:
    """Add a user; return the user and the token, which is not kept anywhere."""
    token = secrets.token_urlsafe(24)
    user = User(email=email, name=name, token_hash=hash_token(token))
    session.add(user)
    try:
        await session.commit()
    except IntegrityError:
        # The constraint decides and not a query before: two sign-ups may race.
        raise ConflictError(f"{email} has signed up already.") from None
    return user, token


async def find_by_token(session: AsyncSession, token: str) -> User | None:
    """Return the user whose token this is."""
    return await session.scalar(select(User).where(User.token_hash == hash_token(token)))


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
