"""Django, which has neither a lifespan nor WebSockets."""

# Django says nothing about its types.
# mypy: disable-error-code="import-untyped, untyped-decorator"

from __future__ import annotations

import json as json_module
from collections.abc import AsyncIterator
from pathlib import Path

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path
from django.views.decorators.http import require_POST, require_safe

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        SECRET_KEY="not secret",
        LOGGING_CONFIG=None,
    )
    import django

    django.setup()


@require_safe
async def html(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse("<p>Hello</p>")


async def json(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse(
        {"got": json_module.loads(request.body) if request.method == "POST" else None}
    )


@require_POST
async def form(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse(",".join(sorted([*request.POST, *request.FILES])))


async def empty(request: HttpRequest) -> HttpResponseBase:
    return HttpResponse(status=204)


async def unchanged(request: HttpRequest) -> HttpResponseBase:
    return HttpResponseNotModified()


async def moved(request: HttpRequest) -> HttpResponseBase:
    return HttpResponseRedirect("/html")


async def stream(request: HttpRequest) -> HttpResponseBase:
    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"

    return StreamingHttpResponse(parts())


def file(request: HttpRequest) -> HttpResponseBase:
    async def parts() -> AsyncIterator[bytes]:
        yield Path(__file__).read_bytes()

    length = Path(__file__).stat().st_size
    return StreamingHttpResponse(parts(), headers={"Content-Length": str(length)})


async def broken(request: HttpRequest) -> HttpResponseBase:
    raise ConnectionError


async def cookies(request: HttpRequest) -> HttpResponseBase:
    response = HttpResponse("set")
    response.set_cookie("user", "ada")
    response.set_cookie("theme", "dark")
    return response


urlpatterns = [
    path(view.__name__, view)
    for view in (html, json, form, empty, unchanged, moved, stream, file, broken, cookies)
]
app = ASGIHandler()
