"""Sign up, and see who you are."""

from fastapi import APIRouter

from shop.dependencies import CurrentUser, SessionDep
from shop.models import User
from shop.schemas import NewUserOut, UserIn, UserOut
from shop.users import sign_up

router = APIRouter(prefix="/users", tags=["users"])


@router.post("", status_code=201)
async def create_user(body: UserIn, session: SessionDep) -> NewUserOut:
    user, token = await sign_up(session, email=body.email, name=body.name)
    return NewUserOut(id=user.id, email=user.email, name=user.name, token=token)


@router.get("/me", response_model=UserOut)
async def read_me(user: CurrentUser) -> User:
    return user
