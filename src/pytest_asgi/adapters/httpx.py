"""HTTPX 0.28: the same transport for clients that have not moved to httpx2."""

from __future__ import annotations

try:
    import httpx
except ModuleNotFoundError as error:
    from pytest_asgi.errors import MissingExtraError

    raise MissingExtraError(
        "pytest_asgi.httpx needs the package 'httpx', which is not installed.",
        why="It is for test suites that still use HTTPX 0.28; pytest-asgi itself uses httpx2.",
        fix="Install it with\n\n    pip install 'pytest-asgi[httpx]'\n\n"
        "or import ASGITransport from pytest_asgi and AsyncClient from httpx2.",
    ) from error

from pytest_asgi.client.app_transport import AppTransport
from pytest_asgi.client.streams import AppStream
from pytest_asgi.client.websockets.handshake import ConnectionStream


class _Stream(AppStream, httpx.AsyncByteStream):
    """An `AppStream` for HTTPX."""

    package = httpx


class _ConnectionStream(ConnectionStream, httpx.AsyncByteStream):
    """A `ConnectionStream` for HTTPX."""


class ASGITransport(AppTransport, httpx.AsyncBaseTransport):
    """Send requests of an `httpx.AsyncClient` to `app` in process.

    The twin of `pytest_asgi.ASGITransport`, with the same arguments.

    Example:
        ```python
        transport = pytest_asgi.httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/")
        ```
    """

    package = httpx
    stream_type = _Stream
    connection_stream_type = _ConnectionStream
