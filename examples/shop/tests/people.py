"""Who plays a part in the tests."""

from dataclasses import dataclass, field

from shop.mailer import Letter
from shop.models import User


@dataclass(frozen=True)
class Person:
    """A user who signed up, with what proves it."""

    user: User
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Outbox:
    """A mailer that keeps its letters, or fails like a real one."""

    letters: list[Letter] = field(default_factory=list)
    failure: Exception | None = None

    async def send(self, letter: Letter) -> None:
        if self.failure is not None:
            raise self.failure
        self.letters.append(letter)
