"""The options of our clients and transports beside those of HTTPX."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from pytest_asgi.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    # Type checkers only: httpx2 gives these types no public names.
    from httpx2._client import UseClientDefault
    from httpx2._types import (
        AuthTypes,
        CookieTypes,
        HeaderTypes,
        QueryParamTypes,
        RequestContent,
        RequestData,
        RequestExtensions,
        RequestFiles,
        TimeoutTypes,
    )

    from pytest_asgi.asgi.rules import Mode


class BuildOptions(TypedDict, total=False):
    """What a request is made of beside its method and URL."""

    content: RequestContent | None
    data: RequestData | None
    files: RequestFiles | None
    json: Any | None
    params: QueryParamTypes | None
    headers: HeaderTypes | None
    cookies: CookieTypes | None
    auth: AuthTypes | UseClientDefault | None
    extensions: RequestExtensions | None


class RequestOptions(BuildOptions, total=False):
    """Everything that `request()` takes beside the method and the URL."""

    follow_redirects: bool | UseClientDefault
    timeout: TimeoutTypes | UseClientDefault


class CallOptions(TypedDict, total=False):
    """How the app is called; described at `pytest_asgi.client.gateway.Gateway`."""

    http_version: str
    extensions: Mapping[str, Any] | None
    rules: Mode | None
    disconnect_grace: float
    await_background: bool


# What an option of one of our clients is called by the other one.
_TWINS = {
    "raise_app_exceptions": "raise_server_exceptions",
    "raise_server_exceptions": "raise_app_exceptions",
}


def refuse_unknown(client: str, names: Iterable[str], advice: str) -> None:
    """Raise if there are options that a client does not have.

    Args:
        client: The class of the client.
        names: The options.
        advice: What to do instead, where nothing better is known.

    Raises:
        TypeError: There are some.
    """
    __tracebackhide__ = True
    for name in sorted(names):
        twin = _TWINS.get(name)
        raise TypeError(
            f"{client}() got an unexpected keyword argument {name!r}. "
            + (f"Did you mean {twin!r}?" if twin is not None else advice)
        )


def require_valid(name: str, value: object, values: Sequence[object]) -> None:
    """Raise if an option has a value that is not one of those that it may have.

    Raises:
        SettingsError: It has another one.
    """
    __tracebackhide__ = True
    if value not in values:
        raise SettingsError(
            f"{name}={value!r} is not valid.",
            why=f"The option {name!r} is one of {', '.join(map(repr, values))}.",
            fix=f"Choose one of these, or leave {name!r} out.",
        )
