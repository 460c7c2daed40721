"""Fixtures of pytest-asyncio and of anyio's plugin, for suites that run without those.

https://pytest-asyncio.readthedocs.io/en/stable/reference/fixtures/
https://anyio.readthedocs.io/en/stable/testing.html
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pytest_asgi.plugin.assembly import ASSEMBLY

if TYPE_CHECKING:
    import asyncio

OFFERED = (
    "anyio_backend",
    "anyio_backend_name",
    "anyio_backend_options",
    "event_loop",
    "event_loop_policy",
    "free_tcp_port",
    "free_tcp_port_factory",
    "free_udp_port",
    "free_udp_port_factory",
    "unused_tcp_port",
    "unused_tcp_port_factory",
    "unused_udp_port",
    "unused_udp_port_factory",
)

PortFactory = Callable[..., int]


@pytest.fixture
def event_loop(pytestconfig: pytest.Config) -> asyncio.AbstractEventLoop:
    """The session's event loop."""
    return pytestconfig.stash[ASSEMBLY].waiting.loop.waitable_loop()


@pytest.fixture(scope="session")
def event_loop_policy() -> object:
    """The policy of asyncio, as it is. The session's loop does not come from it."""
    import asyncio  # noqa: PLC0415 - only for who asks

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # reading it is one since Python 3.14
        return asyncio.get_event_loop_policy()  # type: ignore[deprecated]  # only who asks


@pytest.fixture(scope="session")
def unused_tcp_port_factory() -> PortFactory:
    """A function that returns another free TCP port at each call."""
    return _port_factory("SOCK_STREAM")


@pytest.fixture(scope="session")
def unused_udp_port_factory() -> PortFactory:
    """A function that returns another free UDP port at each call."""
    return _port_factory("SOCK_DGRAM")


@pytest.fixture
def unused_tcp_port(unused_tcp_port_factory: PortFactory) -> int:
    """A free TCP port."""
    return unused_tcp_port_factory()


@pytest.fixture
def unused_udp_port(unused_udp_port_factory: PortFactory) -> int:
    """A free UDP port."""
    return unused_udp_port_factory()


@pytest.fixture(scope="session")
def free_tcp_port_factory() -> PortFactory:
    """A function that returns another free TCP port at each call."""
    return _port_factory("SOCK_STREAM")


@pytest.fixture(scope="session")
def free_udp_port_factory() -> PortFactory:
    """A function that returns another free UDP port at each call."""
    return _port_factory("SOCK_DGRAM")


@pytest.fixture
def free_tcp_port(free_tcp_port_factory: PortFactory) -> int:
    """A free TCP port."""
    return free_tcp_port_factory()


@pytest.fixture
def free_udp_port(free_udp_port_factory: PortFactory) -> int:
    """A free UDP port."""
    return free_udp_port_factory()


@pytest.fixture(scope="session")
def anyio_backend(pytestconfig: pytest.Config) -> str:
    """The name of the backend that tests run on."""
    return "trio" if pytestconfig.stash[ASSEMBLY].settings.loop == "trio" else "asyncio"


@pytest.fixture
def anyio_backend_name(anyio_backend: str | tuple[str, dict[str, Any]]) -> str:
    """The name alone, whether or not options come with it."""
    return anyio_backend if isinstance(anyio_backend, str) else anyio_backend[0]


@pytest.fixture
def anyio_backend_options(anyio_backend: str | tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """The options alone; empty when there are none."""
    return {} if isinstance(anyio_backend, str) else anyio_backend[1]


def _port_factory(kind: str) -> PortFactory:
    import socket  # noqa: PLC0415 - only for who asks

    from pytest_asgi.plugin.stand_ins.ports import FreePorts  # noqa: PLC0415

    return FreePorts(socket.SocketKind[kind])
