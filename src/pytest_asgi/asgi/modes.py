"""What happens when an app breaks a rule: the choice, apart from the rules themselves.

Apart, so that the plugin can set it without loading the rules.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Literal, TypeAlias

# `error` raises, `warn` warns once per exchange and rule, `off` says nothing. `strict` raises as
# `error` does, and warns about what is only advice.
Mode: TypeAlias = Literal["error", "strict", "warn", "off"]

rules_mode: ContextVar[Mode] = ContextVar("rules_mode", default="error")
