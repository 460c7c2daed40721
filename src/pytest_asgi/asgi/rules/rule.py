"""One rule, and where the specifications are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "advice"]

MAIN = "https://asgi.readthedocs.io/en/latest/specs/main.html"
WWW = "https://asgi.readthedocs.io/en/latest/specs/www.html"
LIFESPAN = "https://asgi.readthedocs.io/en/latest/specs/lifespan.html"
EXTENSIONS = "https://asgi.readthedocs.io/en/latest/extensions.html"
RFC_HTTP = "https://www.rfc-editor.org/rfc/rfc9110"
RFC_HTTP_1 = "https://www.rfc-editor.org/rfc/rfc9112"
RFC_WEBSOCKET = "https://www.rfc-editor.org/rfc/rfc6455"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What an app must do, or had better do.

    Attributes:
        id: What the rule is called in errors and in the reference: area, message, subject.
        text: The rule as one sentence, without its full stop.
        link: Where it is written.
        fix: What to change in the app.
        severity: `error`, or `advice` for what servers put right, or what apps may break for a
            good reason.
    """

    id: str
    text: str
    link: str
    fix: str
    severity: Severity = "error"
