"""The tables of the rules read well and point somewhere."""

from __future__ import annotations

import re

import pytest

from pytest_asgi.asgi.rules import RULES, TABLES, Rule

_SPECIFICATIONS = (
    "https://asgi.readthedocs.io/en/latest/",
    "https://www.rfc-editor.org/rfc/rfc",
)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_has_a_name_a_sentence_a_section_and_a_fix(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z]+(\.[a-z-]+){1,2}", rule.id)
    assert rule.text[0].isupper() or rule.text[0] == "'"
    assert rule.text[-1] != "."
    assert rule.link.startswith(_SPECIFICATIONS)
    assert "#" in rule.link
    assert rule.fix.partition("\n")[0][-1] in ".:"


def test_no_two_rules_have_the_same_name() -> None:
    assert len(RULES) == sum(map(len, TABLES.values()))
