"""Comparing what a page shows with what is printed."""

from __future__ import annotations

import pytest

from tests.docs.blocks import Block
from tests.docs.console import Command, read_commands

_OUTPUT = """\
============================= test session starts ==============================
platform linux -- Python 3.13.0, pytest-9.2.0, pluggy-1.7.0
collected 2 items

test_a.py ..                                                             [100%]

============================== 2 passed in 0.34s ===============================
"""


def _is_shown(shown: str, output: str = _OUTPUT) -> bool:
    return Command("page.md:1", "pytest", shown).is_shown(output)


def test_each_command_has_the_output_below_it() -> None:
    block = Block("page.md:7", "console", "", "$ pytest -q\n1 passed\n$ pip install pytest-asgi\n")

    commands = list(read_commands(block))

    assert [(command.line, command.shown) for command in commands] == [
        ("pytest -q", "1 passed\n"),
        ("pip install pytest-asgi", ""),
    ]


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(_OUTPUT, id="the output itself"),
        pytest.param(_OUTPUT.replace("0.34s", "1.20s"), id="another time"),
        pytest.param(_OUTPUT.replace("3.13.0", "3.11.9").replace("9.2.0", "8.4"), id="versions"),
        pytest.param(_OUTPUT.replace("====", "==="), id="a narrower terminal"),
        pytest.param("…\ncollected 2 items\n…\n=== 2 passed in 0.01s ===\n", id="lines left out"),
        pytest.param("…\ntest_a.py …%]\n…\n", id="text left out"),
    ],
)
def test_what_differs_from_run_to_run_counts_as_equal(shown: str) -> None:
    assert _is_shown(shown)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(_OUTPUT.replace("2 passed", "3 passed"), id="another result"),
        pytest.param("…\ncollected 2 items\n…\n2 passed\n", id="another last line"),
        pytest.param("collected 2 items\n…\n", id="lines missing before"),
        pytest.param("…\ncollected 2 items\n", id="lines missing after"),
        pytest.param("…\ntest_a.py ..\n…\n", id="a line cut short"),
        pytest.param("…\n2 passed\n…\ncollected 2 items\n…\n", id="another order"),
    ],
)
def test_what_a_page_must_not_show_is_found(shown: str) -> None:
    assert not _is_shown(shown)
