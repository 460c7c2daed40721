"""Our client, and a plain one of each library on our transport: what streams does so in all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import httpx
import httpx2
import pytest

import pytest_asgi.httpx
from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.transport import ASGITransport

MakeClient: TypeAlias = Callable[..., Any]


def ours(app: object, **options: Any) -> Any:
    return AsyncClient(app, lifespan=False, **options)


def plain_httpx2(app: object, **options: Any) -> Any:
    transport = ASGITransport(app, **options)
    return httpx2.AsyncClient(transport=transport, base_url="http://test")


def plain_httpx(app: object, **options: Any) -> Any:
    transport = pytest_asgi.httpx.ASGITransport(app, **options)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


ALL = pytest.mark.parametrize("make_client", [ours, plain_httpx2, plain_httpx])
