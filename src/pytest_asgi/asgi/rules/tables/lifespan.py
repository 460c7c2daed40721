"""Rules about startup and shutdown.

An app that refuses the scope, or returns before it receives anything, has no lifespan and breaks
no rule.
"""

from __future__ import annotations

from pytest_asgi.asgi.rules.rule import LIFESPAN as SPECIFICATION
from pytest_asgi.asgi.rules.rule import Rule

LIFESPAN = (
    Rule(
        id="lifespan.answer.other",
        text="Startup and shutdown have two answers each, complete and failed",
        link=f"{SPECIFICATION}#startup-complete-send-event",
        fix="Answer `lifespan.startup` with `lifespan.startup.complete`, and `lifespan.shutdown` "
        "with `lifespan.shutdown.complete`.",
    ),
    Rule(
        id="lifespan.answer.twice",
        text="Startup and shutdown are answered once each",
        link=f"{SPECIFICATION}#startup-complete-send-event",
        fix="Wait for the next message before you answer again:\n\n    message = await receive()",
    ),
    Rule(
        id="lifespan.startup.no-answer",
        text="An app that receives the startup answers it",
        link=f"{SPECIFICATION}#startup-complete-send-event",
        fix="Say that you are ready, on every path:\n\n"
        '    await send({"type": "lifespan.startup.complete"})',
    ),
    # Servers end all the same.
    Rule(
        id="lifespan.shutdown.no-answer",
        text="An app that receives the shutdown answers it",
        link=f"{SPECIFICATION}#shutdown-complete-send-event",
        fix="Say that you are done, on every path:\n\n"
        '    await send({"type": "lifespan.shutdown.complete"})',
        severity="advice",
    ),
    Rule(
        id="lifespan.failed.message",
        text="'message' is a string",
        link=f"{SPECIFICATION}#startup-failed-send-event",
        fix='Send the text of the exception:\n\n    "message": str(error)',
    ),
)
