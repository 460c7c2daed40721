"""What can go wrong in the shop, each with the status that a client sees."""

from http import HTTPStatus
from typing import ClassVar


class ShopError(Exception):
    """Something the shop refuses; its text is for the client."""

    status_code: ClassVar[int] = HTTPStatus.BAD_REQUEST


class NotFoundError(ShopError):
    """There is no such thing, or it is none of your business."""

    status_code = HTTPStatus.NOT_FOUND


class NotAllowedError(ShopError):
    """You are known, but this belongs to somebody else."""

    status_code = HTTPStatus.FORBIDDEN


class ConflictError(ShopError):
    """The request is fine; the state of the shop is against it."""

    status_code = HTTPStatus.CONFLICT
