"""Extensions that were not offered, or used in another way than they are meant."""

from __future__ import annotations

import io
import os
from pathlib import Path

from pytest_asgi.asgi.types import Message, Receive, Scope, Send
from tests.apps.plain import sending
from tests.conformance.cases import BODY, MORE, START, Case

TRAILERS = "http.response.trailers"
EARLY_HINT = "http.response.early_hint"
PATHSEND = "http.response.pathsend"
ZERO_COPY = "http.response.zerocopysend"
PUSH = "http.response.push"
DEBUG = "http.response.debug"

WITH_TRAILERS: Message = {**START, "trailers": True}
TRAILER: Message = {"type": TRAILERS, "headers": [(b"x-checksum", b"1")]}
PATH: Message = {"type": PATHSEND, "path": __file__}


async def sends_a_file_in_memory(scope: Scope, receive: Receive, send: Send) -> None:
    await send(START)
    await send({"type": ZERO_COPY, "file": io.BytesIO(b"Hello")})


async def counts_a_file_in_text(scope: Scope, receive: Receive, send: Send) -> None:
    with Path(__file__).open("rb") as file:
        await send(START)
        await send({"type": ZERO_COPY, "file": file, "count": "5"})


CASES = (
    # --- whatever it is --------------------------------------------------------------------------
    Case("message.extension", "hints unasked", sending({"type": EARLY_HINT, "links": []})),
    Case("message.extension", "sends a path unasked", sending(START, PATH)),
    Case("message.extension", "sends trailers unasked", sending(START, BODY, TRAILER)),
    Case("message.extension", "pushes unasked", sending(START, {"type": PUSH, "path": "/"})),
    # --- trailers ----------------------------------------------------------------------------
    Case(
        "http.start.trailers-offered", "announces trailers unasked", sending(WITH_TRAILERS, BODY)
    ),
    Case(
        "http.trailers.announced",
        "forgets to announce",
        sending(START, MORE, TRAILER),
        (TRAILERS,),
    ),
    Case("http.trailers.announced", "adds trailers", sending(START, BODY, TRAILER), (TRAILERS,)),
    Case(
        "http.trailers.early", "sends trailers first", sending(WITH_TRAILERS, TRAILER), (TRAILERS,)
    ),
    Case(
        "http.trailers.early",
        "sends trailers amid the body",
        sending(WITH_TRAILERS, MORE, TRAILER),
        (TRAILERS,),
    ),
    Case(
        "http.end.no-trailers", "forgets its trailers", sending(WITH_TRAILERS, BODY), (TRAILERS,)
    ),
    Case(
        "http.end.no-trailers",
        "promises more trailers",
        sending(WITH_TRAILERS, BODY, {**TRAILER, "more_trailers": True}),
        (TRAILERS,),
    ),
    Case("http.end.more", "sends a body again", sending(WITH_TRAILERS, BODY, BODY), (TRAILERS,)),
    Case(
        "http.end.more",
        "sends trailers again",
        sending(WITH_TRAILERS, BODY, TRAILER, TRAILER),
        (TRAILERS,),
    ),
    Case(
        "http.trailers.more",
        "sends a number as more_trailers",
        sending(WITH_TRAILERS, BODY, {**TRAILER, "more_trailers": 1}),
        (TRAILERS,),
    ),
    Case(
        "http.trailers.field",
        "sends the type after the body",
        sending(WITH_TRAILERS, BODY, {**TRAILER, "headers": [(b"content-type", b"text/plain")]}),
        (TRAILERS,),
    ),
    Case(
        "header.pairs",
        "sends trailers of text",
        sending(WITH_TRAILERS, BODY, {**TRAILER, "headers": [("x-checksum", "1")]}),
        (TRAILERS,),
    ),
    Case("http.body.before-start", "only sends trailers", sending(TRAILER), (TRAILERS,)),
    # --- files -------------------------------------------------------------------------------
    Case("http.body.before-start", "sends only a path", sending(PATH), (PATHSEND,)),
    Case(
        "http.pathsend.path",
        "sends a path of bytes",
        sending(START, {**PATH, "path": b"/tmp/file"}),
        (PATHSEND,),
    ),
    Case(
        "http.pathsend.absolute",
        "sends a relative path",
        sending(START, {**PATH, "path": os.path.relpath(__file__)}),
        (PATHSEND,),
    ),
    Case(
        "http.pathsend.mixed", "mixes a path and a body", sending(START, MORE, PATH), (PATHSEND,)
    ),
    Case("http.end.more", "sends a body after a path", sending(START, PATH, BODY), (PATHSEND,)),
    Case("http.zerocopysend.file", "sends a file in memory", sends_a_file_in_memory, (ZERO_COPY,)),
    Case("http.zerocopysend.part", "counts a file in text", counts_a_file_in_text, (ZERO_COPY,)),
    # --- hints, pushes, debug ----------------------------------------------------------------
    Case(
        "http.early-hint.links",
        "hints at text",
        sending({"type": EARLY_HINT, "links": ["</style.css>; rel=preload"]}),
        (EARLY_HINT,),
    ),
    Case(
        "http.early-hint.links",
        "hints at one link instead of a list",
        sending({"type": EARLY_HINT, "links": b"</style.css>; rel=preload"}),
        (EARLY_HINT,),
    ),
    Case(
        "http.early-hint.links", "hints at nothing", sending({"type": EARLY_HINT}), (EARLY_HINT,)
    ),
    Case("http.push.path", "pushes bytes", sending(START, {"type": PUSH, "path": b"/"}), (PUSH,)),
    Case("http.debug.info", "debugs in text", sending({"type": DEBUG, "info": "here"})),
    Case("http.debug.late", "debugs too late", sending(START, {"type": DEBUG, "info": {}})),
    Case("http.debug.twice", "debugs twice", sending(*[{"type": DEBUG, "info": {}}] * 2)),
)
