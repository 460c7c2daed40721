"""Streams, disconnects and what else takes more than one step go as under a real server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import httpx2
import pytest

from pytest_asgi.client.client import AsyncClient
from tests.apps.conversations import app, seen
from tests.apps.plain import hello
from tests.apps.streams import chunks_of
from tests.differential.conftest import serve

# Making the default one takes longer than all of a test's requests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Visit = Callable[[httpx2.AsyncClient], Awaitable[Any]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve(app, ws="none", lifespan="off") as url:
        yield url


class Answering(httpx2.Auth):
    """Answers the app's challenge with a second request."""

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        response = yield request
        if response.status_code == 401:
            request.headers["x-token"] = response.headers["x-challenge"]
            yield request


async def read_events(client: httpx2.AsyncClient) -> Any:
    async with client.sse("/events") as events:
        iterator = aiter(events)
        return [await anext(iterator) for _ in range(3)]


async def read_lines(client: httpx2.AsyncClient) -> Any:
    async with client.stream("GET", "/numbers", params={"count": 1000}) as response:
        return [line async for line in response.aiter_lines()], response.headers["content-type"]


async def read_in_chunks(client: httpx2.AsyncClient) -> Any:
    async with client.stream("GET", "/numbers", params={"count": 1000}) as response:
        chunks = [chunk async for chunk in response.aiter_bytes(100)]
    return chunks, response.is_closed, response.num_bytes_downloaded


async def read_by_hand(client: httpx2.AsyncClient) -> Any:
    request = client.build_request("GET", "/numbers", params={"count": 3})
    response = await client.send(request, stream=True)
    before = response.is_stream_consumed, response.is_closed
    body = await response.aread()
    await response.aclose()
    return before, body, response.is_stream_consumed, response.is_closed


async def read_nothing(client: httpx2.AsyncClient) -> Any:
    async with client.stream("GET", "/numbers", params={"count": 1}) as response:
        pass
    with pytest.raises(httpx2.StreamClosed):
        await response.aread()
    return response.status_code, response.is_closed


async def read_twice(client: httpx2.AsyncClient) -> Any:
    async with client.stream("GET", "/numbers", params={"count": 3}) as response:
        first = [part async for part in response.aiter_raw()]
        with pytest.raises(httpx2.StreamConsumed):
            await anext(response.aiter_raw())
    return b"".join(first)


async def upload_a_file(client: httpx2.AsyncClient) -> Any:
    response = await client.post(
        "/upload", files={"file": ("a.txt", b"x" * 200_000)}, data={"title": "notes"}
    )
    return response.json()


async def upload_chunks(client: httpx2.AsyncClient) -> Any:
    chunks = chunks_of(b"x" * 70_000, b"", b"y" * 70_000)
    return (await client.post("/lengths", content=chunks)).json()


async def answer_a_challenge(client: httpx2.AsyncClient) -> Any:
    response = await client.get("/challenge", auth=Answering())
    return response.text, [earlier.status_code for earlier in response.history], client.cookies


async def answer_a_challenge_in_a_stream(client: httpx2.AsyncClient) -> Any:
    async with client.stream("GET", "/challenge", auth=Answering()) as response:
        return await response.aread()


async def call_hooks(client: httpx2.AsyncClient) -> Any:
    called: list[tuple[str, Any]] = []

    async def before(request: httpx2.Request) -> None:
        called.append(("request", request.url.path))
        request.headers["x-hook"] = "1"

    async def after(response: httpx2.Response) -> None:
        called.append(("response", response.status_code))
        await response.aread()
        called.append(("body", len(response.content)))

    client.event_hooks = {"request": [before], "response": [after]}
    await client.get("/numbers", params={"count": 3})
    return called


async def send_default_headers(client: httpx2.AsyncClient) -> Any:
    client.headers["x-team"] = "shop"
    client.params = httpx2.QueryParams({"page": "1"})
    client.cookies.set("id", "1")
    answer = (await client.get("/echo/", headers={"x-id": "2"})).json()
    return answer["headers"], answer["query_string"]


async def do_background_work(client: httpx2.AsyncClient) -> Any:
    response = await client.get("/background")
    return response.text, await asyncio.to_thread(seen.get, timeout=10)


async def leave_a_response(client: httpx2.AsyncClient) -> Any:
    async with client.stream("GET", "/reporting/") as response:
        assert await anext(response.aiter_raw()) == b"done"
    return await asyncio.to_thread(seen.get, timeout=10)


async def break_off_an_upload(client: httpx2.AsyncClient) -> Any:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        raise KeyError("of the test")

    with pytest.raises(KeyError, match="of the test"):
        await client.post("/cut/", content=chunks())
    types = await asyncio.to_thread(seen.get, timeout=10)
    return types[-1]


async def meet_a_response_that_breaks_off(client: httpx2.AsyncClient) -> Any:
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/breaking/")


async def time_out(client: httpx2.AsyncClient) -> Any:
    with pytest.raises(httpx2.ReadTimeout) as caught:
        await client.get("/stalling/", timeout=httpx2.Timeout(10, read=0.2))
    return caught.value.request.url.path


VISITS: tuple[Visit, ...] = (
    read_events,
    read_lines,
    read_in_chunks,
    read_by_hand,
    read_nothing,
    read_twice,
    upload_a_file,
    upload_chunks,
    answer_a_challenge,
    answer_a_challenge_in_a_stream,
    call_hooks,
    send_default_headers,
    do_background_work,
    leave_a_response,
    break_off_an_upload,
    meet_a_response_that_breaks_off,
    time_out,
)


@pytest.mark.parametrize("visit", VISITS, ids=lambda visit: visit.__name__)
async def test_a_visit_goes_as_under_a_real_server(url: str, visit: Visit) -> None:
    async with asyncio.timeout(20):
        async with httpx2.AsyncClient(base_url=url, verify=NO_TLS) as real:
            expected = await visit(real)
        async with AsyncClient(app, base_url=url, raise_app_exceptions=False) as ours:
            assert await visit(ours) == expected


async def test_a_mounted_transport_gets_its_requests(url: str) -> None:
    mounts = {"all://elsewhere": httpx2.MockTransport(lambda _: httpx2.Response(418))}
    clients = (
        httpx2.AsyncClient(base_url=url, verify=NO_TLS, mounts=mounts),
        AsyncClient(app, base_url=url, mounts=mounts),
    )

    for client in clients:
        async with client:
            assert (await client.get("http://elsewhere/")).status_code == 418
            assert (await client.get("/numbers", params={"count": 1})).text == "0\n"


async def test_the_flag_for_http_2_changes_nothing_without_tls(url: str) -> None:
    async with AsyncClient(hello, http2=True, base_url=url) as ours:
        response = await ours.get("/")

    assert (response.http_version, response.text) == ("HTTP/1.1", "hello")


@pytest.mark.parametrize(("version", "expected"), [("1.0", "HTTP/1.0"), ("2", "HTTP/2")])
async def test_a_response_has_the_version_that_the_app_is_told(
    version: str, expected: str
) -> None:
    async with AsyncClient(hello, http_version=version) as ours:
        whole = await ours.get("/")
        async with ours.stream("GET", "/") as streamed:
            pass

    assert whole.http_version == streamed.http_version == expected
