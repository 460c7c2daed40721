"""How letters leave the shop."""

import logging
from dataclasses import dataclass
from typing import Protocol

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Letter:
    to: str
    subject: str
    body: str


class Mailer(Protocol):
    """Anything that can deliver a letter."""

    async def send(self, letter: Letter) -> None:
        """Deliver `letter`, or raise."""


class LogMailer:
    """A mailer for development: it writes letters to the log."""

    async def send(self, letter: Letter) -> None:
        """Log who would get which letter."""
        logger.info("letter to %s: %s", letter.to, letter.subject)
