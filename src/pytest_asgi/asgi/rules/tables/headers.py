"""Rules about headers, in whichever message they are sent.

Not here: `transfer-encoding` alone, which an app may set and a server must ignore.
https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event
"""

from __future__ import annotations

from pytest_asgi.asgi.rules.rule import RFC_HTTP, RFC_HTTP_1, WWW, Rule

HEADERS = (
    Rule(
        id="header.pairs",
        text="Headers are an iterable of pairs, a name and a value, both bytes",
        link=f"{WWW}#response-start-send-event",
        fix='Encode names and values:\n\n    "headers": [(b"content-type", b"text/plain")]',
    ),
    # Django keeps capitals on purpose, BlackSheep and Sanic write some, and servers take them.
    Rule(
        id="header.name-lowercase",
        text="The names of headers are in lower case",
        link=f"{WWW}#response-start-send-event",
        fix="Lower the name where you encode it:\n\n    name.lower().encode()",
        severity="advice",
    ),
    Rule(
        id="header.name-pseudo",
        text="The pseudo headers of HTTP/2, such as ':status', are the server's to send",
        link=f"{WWW}#response-start-send-event",
        fix="Leave the header out, and use the fields of the message, such as 'status'.",
    ),
    Rule(
        id="header.name-characters",
        text="The name of a header is one word of letters, digits and a few signs",
        link=f"{RFC_HTTP}#section-5.1",
        fix="Take spaces, colons and everything beyond ASCII out of the name, which is not empty "
        "either.",
    ),
    Rule(
        id="header.value-characters",
        text="The value of a header holds no line break and no NUL",
        link=f"{RFC_HTTP}#section-5.5",
        fix="Take them out or encode them. If the value comes from a user, a line break lets "
        "that user write headers of their own.",
    ),
    # h11 refuses such a value and others strip it.
    Rule(
        id="header.value-whitespace",
        text="The value of a header neither begins nor ends with a space or a tab",
        link=f"{RFC_HTTP}#section-5.5",
        fix="Strip the value.",
        severity="advice",
    ),
    # Many libraries for server-sent events set `connection: keep-alive`.
    Rule(
        id="header.connection",
        text="The headers about the connection belong to the server",
        link=f"{RFC_HTTP}#section-7.6.1",
        fix="Leave the header out; HTTP/2 and HTTP/3 do not allow it.",
        severity="advice",
    ),
    Rule(
        id="header.content-length-number",
        text="A content-length is one number in decimal digits",
        link=f"{RFC_HTTP}#section-8.6",
        fix='Send the length in bytes:\n\n    (b"content-length", str(len(body)).encode())',
    ),
    Rule(
        id="header.content-length-conflict",
        text="A response has one content-length",
        link=f"{RFC_HTTP}#section-8.6",
        fix="Replace the header instead of adding another. Often a middleware adds its own.",
    ),
    Rule(
        id="header.content-length-chunked",
        text="A response with a transfer-encoding has no content-length",
        link=f"{RFC_HTTP_1}#section-6.2",
        fix="Leave 'transfer-encoding' out: the server knows how to send the body.",
    ),
    # Django's CommonMiddleware sends a content-length of 0 with every empty response.
    Rule(
        id="header.content-length-without-content",
        text="A response with the status 204 has no content-length",
        link=f"{RFC_HTTP}#section-8.6",
        fix="Leave the header out.",
        severity="advice",
    ),
)
