"""What all rules have in common: how a broken one is told."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_asgi.asgi.modes import rules_mode
from pytest_asgi.asgi.rules.fields import FIELDS, MISSING
from pytest_asgi.asgi.rules.sender import describe, find_senders
from pytest_asgi.asgi.rules.shortening import shorten
from pytest_asgi.asgi.rules.tables import RULES
from pytest_asgi.errors import ProtocolError, ProtocolWarning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_asgi.asgi.modes import Mode
    from pytest_asgi.asgi.rules.headers import Fault
    from pytest_asgi.asgi.rules.rule import Rule
    from pytest_asgi.asgi.types import Message

# Stands for the message where none was sent; an app can send even None.
NOTHING = object()


class Referee:
    """Tells the app about the rules that it breaks, as loud as the mode wants it.

    Args:
        mode: How loud a broken rule is; `None` for what the context says.
    """

    # Defaults of the class, here and in those below: rules are made for every request, and most
    # of what they can remember stays as it is.
    _mode: Mode
    _warned: frozenset[str] = frozenset()

    def __init__(self, mode: Mode | None = None) -> None:
        self._mode = rules_mode.get() if mode is None else mode

    def _report(self, name: str, what: str, message: object = NOTHING) -> None:
        """Raise for a broken rule, or warn, or say nothing.

        Args:
            name: The rule.
            what: What the app did, as a sentence.
            message: What the app sent, if it sent anything.

        Raises:
            ProtocolError: The mode wants it.
        """
        __tracebackhide__ = True
        rule = RULES[name]
        if self._mode == "strict":
            is_raised = rule.severity == "error"
        elif rule.severity == "advice" or self._mode == "off":
            return
        else:
            is_raised = self._mode == "error"
        if is_raised:
            raise _make_error(rule, what, message)
        if name not in self._warned:
            self._warned |= {name}
            _warn(rule, what, message)

    def _check_fields(self, kind: str, message: Message, *, ignored: str = "") -> bool:
        """Report fields of the wrong type; tell whether the message can be acted on.

        Args:
            kind: The type of the message.
            message: The message.
            ignored: A field that may hold anything.
        """
        __tracebackhide__ = True
        is_usable = True
        fields = FIELDS[kind]
        for field in fields:
            value = message.get(field.name, field.default)
            if not field.holds(value) and field.name != ignored:
                self._report(
                    field.rule,
                    f"The app sent {kind!r}, whose {field.name!r} {_describe(value)}.",
                    message,
                )
                is_usable = is_usable and field.is_read_by_truth
        known = {"type", *(field.name for field in fields)}
        for key in message:
            if key not in known:
                self._report("message.keys", f"The app sent {kind!r} with a key {key!r}.", message)
        return is_usable

    def _report_faults(self, kind: str, faults: Iterable[Fault], message: Message) -> None:
        """Report what is wrong with the headers of a message."""
        __tracebackhide__ = True
        for fault in faults:
            self._report(fault.rule, f"The app sent {kind!r}, {fault.what}.", message)

    def _refuse_strange(self, message: object, moment: str, expected: Iterable[str]) -> None:
        """Report a message of a type that this kind of scope does not know."""
        __tracebackhide__ = True
        kind = read_kind(message)
        if not kind:
            self._report(
                "message.dict", f"The app sent {shorten(message)}, which is no message.", message
            )
        elif kind in FIELDS:
            self._report("message.scope", f"The app sent {kind!r} {moment}.", message)
        else:
            known = ", ".join(sorted(expected)) or "nothing more"
            self._report(
                "message.type",
                f"The app sent a message of the unknown type {kind!r}; expected: {known}.",
                message,
            )


def read_kind(message: object) -> str:
    """Return the type of a message, empty if it has none."""
    kind = message.get("type") if isinstance(message, Mapping) else None
    return kind if isinstance(kind, str) else ""


def _describe(value: Any) -> str:
    return "is missing" if value is MISSING else f"is {shorten(value)}"


def _make_error(rule: Rule, what: str, message: object) -> ProtocolError:
    is_sent = message is not NOTHING
    return ProtocolError(
        what,
        why=f"{rule.text}: {rule.link}",
        fix=rule.fix,
        rule=rule.id,
        sent=shorten(message) if is_sent else "",
        place=describe(find_senders(message)) if is_sent else "",
    )


def _warn(rule: Rule, what: str, message: object) -> None:
    """Warn at the user's own line, so that filters and reports name it."""
    __tracebackhide__ = True  # a filter may make it an error
    text = f"{what} {rule.text}: {rule.link} (rule {rule.id})"
    senders = find_senders(message)
    if senders:
        warnings.warn_explicit(text, ProtocolWarning, senders[-1].file, senders[-1].line)
    else:
        warnings.warn(text, ProtocolWarning, stacklevel=1)
