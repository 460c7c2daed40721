"""`get()`, `post()` and their kin are httpx2's, but for the time they take."""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import create_autospec

import httpx2
import pytest

from pytest_asgi.client.client import AsyncClient
from pytest_asgi.client.sync import TestClient
from tests.apps.plain import echo

VERBS = ["get", "options", "head", "delete", "post", "put", "patch"]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_sends_a_request_of_its_method(verb: str) -> None:
    response = await getattr(AsyncClient(echo), verb)("/items")
    synchronous = getattr(TestClient(echo), verb)("/items")

    assert response.request.method == synchronous.request.method == verb.upper()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_looks_like_httpx2s_own(verb: str) -> None:
    for ours, theirs in ((AsyncClient, httpx2.AsyncClient), (TestClient, httpx2.Client)):
        mine, own = getattr(ours, verb), getattr(theirs, verb)

        assert inspect.signature(mine) == inspect.signature(own)
        assert mine.__doc__ == own.__doc__


@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_refuses_the_options_that_httpx2s_own_refuses(verb: str) -> None:
    wrong: dict[str, Any] = {"jsn": {}} if verb in {"post", "put", "patch"} else {"json": {}}

    with pytest.raises(TypeError, match="unexpected keyword"):
        await getattr(AsyncClient(echo), verb)("/", **wrong)
    with pytest.raises(TypeError, match="unexpected keyword"):
        getattr(TestClient(echo), verb)("/", **wrong)


async def test_a_verb_goes_through_a_request_that_a_user_has_overridden() -> None:
    class Signed(AsyncClient):
        async def request(self, method: str, url: Any, **options: Any) -> httpx2.Response:
            headers = {**(options.pop("headers", None) or {}), "x-signed": "1"}
            return await super().request(method, url, headers=headers, **options)

    client = Signed(echo)

    for response in [
        await client.get("/"),
        await client.get("/", params={"q": 1}),
        await client.post("/", json={}),
    ]:
        assert response.request.headers["x-signed"] == "1"


async def test_a_mock_of_the_client_is_awaited_where_the_client_is() -> None:
    mock = create_autospec(AsyncClient, instance=True)
    mock.get.return_value = "mocked"

    assert await mock.get("/") == "mocked"
    assert not inspect.iscoroutinefunction(TestClient.get)
