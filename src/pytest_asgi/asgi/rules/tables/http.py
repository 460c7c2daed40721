"""Rules about the answer to a request, the extensions included.

Not here, because good frameworks do otherwise and servers put it right:

- A body in the answer to HEAD: many answer as they answer GET, and servers drop the body.
- Early hints and pushes before the response starts: the extensions want them after it, but
  hints are of use only before, and servers take both.
- Whether the file of a `pathsend` is as long as the content-length.
"""

from __future__ import annotations

from pytest_asgi.asgi.rules.rule import EXTENSIONS, RFC_HTTP, WWW, Rule

HTTP = (
    # --- response start ----------------------------------------------------------------------
    Rule(
        id="http.start.status",
        text="'status' is an integer",
        link=f"{WWW}#response-start-send-event",
        fix='Send the number alone:\n\n    "status": 200',
    ),
    Rule(
        id="http.start.status-range",
        text="A status is between 100 and 599",
        link=f"{RFC_HTTP}#section-15",
        fix="Choose the registered status that is nearest, and put your own code in the body.",
    ),
    Rule(
        id="http.start.status-interim",
        text="A status below 200 announces a response and is none",
        link=f"{RFC_HTTP}#section-15.2",
        fix="Answer with a status of 200 or more. Early hints are a message of their own, "
        "`http.response.early_hint`.",
    ),
    Rule(
        id="http.start.trailers",
        text="'trailers' is a bool",
        link=f"{WWW}#response-start-send-event",
        fix="Send True or False.",
    ),
    Rule(
        id="http.start.trailers-offered",
        text="Trailers are announced only if the server offers to send them",
        link=f"{EXTENSIONS}#http-trailers",
        fix='Look for "http.response.trailers" in `scope["extensions"]` first. To test the code '
        "that runs with it, let the client offer it.",
    ),
    Rule(
        id="http.start.twice",
        text="A response has one start, and then only a body",
        link=f"{WWW}#response-body-send-event",
        fix="Look for a second response to the same request: often an exception handler, or a "
        "middleware that answers after the app already did.",
    ),
    # --- response body -----------------------------------------------------------------------
    Rule(
        id="http.body.before-start",
        text="A response starts with its status and headers",
        link=f"{WWW}#response-start-send-event",
        fix="Send the start first:\n\n"
        '    await send({"type": "http.response.start", "status": 200, "headers": []})',
    ),
    Rule(
        id="http.body.bytes",
        text="'body' is bytes",
        link=f"{WWW}#response-body-send-event",
        fix='Encode the text:\n\n    "body": text.encode()',
    ),
    Rule(
        id="http.body.more",
        text="'more_body' is a bool",
        link=f"{WWW}#response-body-send-event",
        fix="Send True or False.",
    ),
    Rule(
        id="http.body.without-content",
        text="A response with the status 204, 205 or 304 has no content",
        link=f"{RFC_HTTP}#section-6.4.1",
        fix='Send an empty body, or another status:\n\n    await send({"type": '
        '"http.response.body"})',
    ),
    Rule(
        id="http.body.too-long",
        text="A body is as long as its content-length",
        link=f"{RFC_HTTP}#section-8.6",
        fix="Count bytes, not characters. A middleware that changes the body must change the "
        "header as well, or take it out.",
    ),
    Rule(
        id="http.body.too-short",
        text="A body is as long as its content-length",
        link=f"{RFC_HTTP}#section-8.6",
        fix="Send all of the body. A middleware that changes the body must change the header as "
        "well, or take it out.",
    ),
    # --- the end of a response ---------------------------------------------------------------
    Rule(
        id="http.end.no-start",
        text="Every request is answered with a start and a body",
        link=f"{WWW}#response-start-send-event",
        fix="Send `http.response.start` and `http.response.body` on every path; look for an "
        "exception that was caught, or a `return` that comes too early.",
    ),
    Rule(
        id="http.end.no-end",
        text="A response ends with a body without 'more_body'",
        link=f"{WWW}#response-body-send-event",
        fix="End the response, with an empty body if there is nothing left to say:\n\n"
        '    await send({"type": "http.response.body"})',
    ),
    Rule(
        id="http.end.no-trailers",
        text="A response that announces trailers ends with them",
        link=f"{EXTENSIONS}#http-trailers",
        fix="Send `http.response.trailers` after the body, or leave 'trailers' out of the start.",
    ),
    Rule(
        id="http.end.more",
        text="A body without 'more_body' ends the response",
        link=f"{WWW}#response-body-send-event",
        fix='Set `"more_body": True` on every body but the last, and answer only once.',
    ),
    # --- extensions --------------------------------------------------------------------------
    Rule(
        id="http.trailers.announced",
        text="A response with trailers says so in its start",
        link=f"{EXTENSIONS}#http-trailers",
        fix='Announce them:\n\n    {"type": "http.response.start", …, "trailers": True}',
    ),
    Rule(
        id="http.trailers.early",
        text="Trailers come after the body",
        link=f"{EXTENSIONS}#http-trailers",
        fix='End the body first:\n\n    await send({"type": "http.response.body"})',
    ),
    Rule(
        id="http.trailers.more",
        text="'more_trailers' is a bool",
        link=f"{EXTENSIONS}#http-trailers",
        fix="Send True or False.",
    ),
    Rule(
        id="http.trailers.field",
        text="Trailers hold nothing that is needed to read, route or allow the message",
        link=f"{RFC_HTTP}#section-6.5.1",
        fix="Send this header with the start.",
    ),
    Rule(
        id="http.early-hint.links",
        text="'links' is an iterable of bytes, each the value of a link header",
        link=f"{EXTENSIONS}#early-hints",
        fix='Send a list:\n\n    "links": [b"</style.css>; rel=preload; as=style"]',
    ),
    Rule(
        id="http.pathsend.path",
        text="'path' is a string",
        link=f"{EXTENSIONS}#path-send",
        fix='Send the text of the path:\n\n    "path": str(path)',
    ),
    # Starlette sends the path of a FileResponse as it was given.
    Rule(
        id="http.pathsend.absolute",
        text="'path' is the absolute path of a file",
        link=f"{EXTENSIONS}#path-send",
        fix='Resolve it:\n\n    "path": str(path.resolve())',
        severity="advice",
    ),
    Rule(
        id="http.pathsend.mixed",
        text="A path is sent instead of a body and not beside one",
        link=f"{EXTENSIONS}#path-send",
        fix="Send the path alone after the start, or send the file's bytes as parts of the body.",
    ),
    Rule(
        id="http.zerocopysend.file",
        text="'file' is an open file with a descriptor",
        link=f"{EXTENSIONS}#zero-copy-send",
        fix="Open the file unbuffered, and send bytes that are in memory as a body:\n\n"
        '    "file": open(path, "rb", buffering=0)',
    ),
    Rule(
        id="http.zerocopysend.part",
        text="'offset' and 'count' are integers",
        link=f"{EXTENSIONS}#zero-copy-send",
        fix="Send numbers of bytes, or leave them out.",
    ),
    Rule(
        id="http.push.path",
        text="'path' is a string",
        link=f"{EXTENSIONS}#http-2-server-push",
        fix='Send the path of the URL as text:\n\n    "path": "/style.css"',
    ),
    Rule(
        id="http.debug.info",
        text="'info' is a dict",
        link=f"{EXTENSIONS}#debug",
        fix='Send a dict:\n\n    "info": {"template": template}',
    ),
    Rule(
        id="http.debug.late",
        text="Debug information comes before the response starts",
        link=f"{EXTENSIONS}#debug",
        fix="Send it before `http.response.start`.",
    ),
    Rule(
        id="http.debug.twice",
        text="Debug information is sent once",
        link=f"{EXTENSIONS}#debug",
        fix="Put all of it in one message.",
    ),
)
