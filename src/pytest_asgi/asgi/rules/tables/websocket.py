"""Rules about a WebSocket connection.

Not here: an app that returns without closing its connection, which servers do for it.
"""

from __future__ import annotations

from pytest_asgi.asgi.rules.rule import EXTENSIONS, RFC_WEBSOCKET, WWW, Rule

WEBSOCKET = (
    # --- accept ------------------------------------------------------------------------------
    Rule(
        id="websocket.accept.subprotocol",
        text="'subprotocol' is a string or None",
        link=f"{WWW}#accept-send-event",
        fix="Send the one name that you choose.",
    ),
    Rule(
        id="websocket.accept.subprotocol-offered",
        text="A server chooses among the subprotocols that the client offered",
        link=f"{RFC_WEBSOCKET}#section-4.2.2",
        fix='Choose from `scope["subprotocols"]`, or choose none; a browser closes the connection '
        "otherwise.",
    ),
    Rule(
        id="websocket.accept.protocol-header",
        text="The chosen subprotocol is a field of the message and no header",
        link=f"{WWW}#accept-send-event",
        fix='Use the field:\n\n    {"type": "websocket.accept", "subprotocol": "chat"}',
    ),
    Rule(
        id="websocket.accept.twice",
        text="A connection is accepted once",
        link=f"{WWW}#connect-receive-event",
        fix="Look for a second `accept`: often one in a dependency or a middleware, and one in "
        "the endpoint.",
    ),
    # --- send --------------------------------------------------------------------------------
    Rule(
        id="websocket.send.before-accept",
        text="A connection is accepted before anything is sent",
        link=f"{WWW}#connect-receive-event",
        fix='Accept it first:\n\n    await send({"type": "websocket.accept"})',
    ),
    Rule(
        id="websocket.send.content",
        text="Exactly one of 'text' and 'bytes' is not None",
        link=f"{WWW}#send-send-event",
        fix="Send one of them; two messages if you want to send both.",
    ),
    Rule(
        id="websocket.send.text",
        text="'text' is a string or None",
        link=f"{WWW}#send-send-event",
        fix="Send bytes as 'bytes', and everything else as text: `json.dumps(value)`.",
    ),
    Rule(
        id="websocket.send.bytes",
        text="'bytes' is bytes or None",
        link=f"{WWW}#send-send-event",
        fix="Send a string as 'text', or encode it.",
    ),
    # --- close -------------------------------------------------------------------------------
    Rule(
        id="websocket.close.code",
        text="'code' is an integer",
        link=f"{WWW}#close-send-event",
        fix="Send the number alone, or leave it out for 1000.",
    ),
    Rule(
        id="websocket.close.code-range",
        text="A close code is registered between 1000 and 1014, or is between 3000 and 4999",
        link=f"{RFC_WEBSOCKET}#section-7.4",
        fix="Choose a code for your app between 4000 and 4999. 1005, 1006 and 1015 are never "
        "sent: they tell an app what happened without a code.",
    ),
    Rule(
        id="websocket.close.reason",
        text="'reason' is a string or None",
        link=f"{WWW}#close-send-event",
        fix='Send text:\n\n    "reason": str(error)',
    ),
    Rule(
        id="websocket.close.reason-length",
        text="A reason takes at most 123 bytes",
        link=f"{RFC_WEBSOCKET}#section-5.5",
        fix="Shorten it, and count the bytes in UTF-8. Send what is longer as a message before.",
    ),
    Rule(
        id="websocket.close.unsent-reason",
        text="The reason of a connection that is refused is a string or None, though servers do "
        "not send it",
        link=f"{WWW}#close-send-event",
        fix='Send text:\n\n    "reason": str(error)',
        severity="advice",  # FastAPI gives the errors of its validation, as a list.
    ),
    # --- the end of a connection ---------------------------------------------------------------
    Rule(
        id="websocket.end.no-answer",
        text="A connection is accepted, closed or denied",
        link=f"{WWW}#connect-receive-event",
        fix="Answer on every path; to refuse the connection, close it:\n\n"
        '    await send({"type": "websocket.close"})',
    ),
    Rule(
        id="websocket.end.more",
        text="Nothing is sent after the connection was closed",
        link=f"{WWW}#close-send-event",
        fix="Close once, at the end; look for a `close` in an exception handler or a `finally`.",
    ),
    # --- denial response -----------------------------------------------------------------------
    Rule(
        id="websocket.denial.late",
        text="A connection is denied instead of accepted",
        link=f"{EXTENSIONS}#websocket-denial-response",
        fix="Decide before you accept; close the connection if it is accepted already.",
    ),
    Rule(
        id="websocket.denial.mixed",
        text="A denial is a response of HTTP, and no other message follows it",
        link=f"{EXTENSIONS}#websocket-denial-response",
        fix="End the response with a `websocket.http.response.body`, and return.",
    ),
)
