"""Rules that every message keeps, whatever it is about."""

from __future__ import annotations

from pytest_asgi.asgi.rules.rule import MAIN, Rule

MESSAGES = (
    Rule(
        id="message.dict",
        text="A message is a dict whose 'type' is a string",
        link=f"{MAIN}#events",
        fix='Send a dict with a type:\n\n    await send({"type": "http.response.start", …})',
    ),
    Rule(
        id="message.type",
        text="A message has one of the types that the specification names",
        link=f"{MAIN}#error-handling",
        fix="Check the spelling of the type.",
    ),
    Rule(
        id="message.scope",
        text="Each kind of scope has its own messages",
        link=f"{MAIN}#applications",
        fix='Look at `scope["type"]` before you answer. A framework that answers like this has '
        "perhaps no route of that kind for the path.",
    ),
    Rule(
        id="message.extension",
        text="A message of an extension is sent only if the server offers the extension",
        link=f"{MAIN}#extensions",
        fix="Look for the name in `scope['extensions']` first. To test the code that runs with "
        "the extension, let the client offer it.",
    ),
    # A server must bear keys it does not know, so that the specification can grow.
    Rule(
        id="message.keys",
        text="A message has the keys that the specification names, and servers ignore others",
        link=f"{MAIN}#error-handling",
        fix="Check the spelling of the key.",
        severity="advice",
    ),
)
