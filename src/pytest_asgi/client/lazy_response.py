"""A response that becomes a plain `httpx2.Response` at the first look at more than its content.

Most tests look at the status and the content only; making the headers, the request and the rest
takes longer than many an app takes to answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2

from pytest_asgi.client.quick_json import read_json

if TYPE_CHECKING:
    from pytest_asgi.asgi.types import RawHeaders


class LazyResponse(httpx2.Response):
    """A response whose status and content are at hand, and nothing else yet.

    Nobody calls its `__init__`: who makes one sets `status_code`, `_content` and what is below.

    Attributes:
        _raw_headers: The headers, as the app sent them.
        _finish: A function that makes the plain response, and the last ones of its arguments.
    """

    _raw_headers: RawHeaders
    _finish: tuple[Any, ...]

    def __getattr__(self, name: str) -> Any:
        """Become a plain response, which has the attribute or says that it does not."""
        if name == "headers":  # Alone, because tests look at them without looking further.
            self.headers = httpx2.Headers(self._raw_headers)
            return self.headers
        self._become_plain()
        return getattr(self, name)

    def json(self, **options: Any) -> Any:
        """Return the value of the content, as JSON."""
        if not options:
            value = read_json(self._content)
            if value is not None:
                return value[0]
        return super().json(**options)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Become a plain response first, because a copy or a pickle names the class."""
        self._become_plain()
        return self.__reduce_ex__(protocol)

    def _become_plain(self) -> None:
        own = self.__dict__
        make, *sent = own.pop("_finish")
        plain = make(self.status_code, own.pop("_raw_headers"), self._content, {}, *sent)
        own.update({**vars(plain), **own})  # What has been set since then stays.
        self.__class__ = httpx2.Response  # type: ignore[assignment]  # the point of it
