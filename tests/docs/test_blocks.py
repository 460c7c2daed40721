"""Reading the blocks of a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import PageError, pages, read_blocks


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.md"


def test_blocks_come_in_their_order_with_the_line_where_they_begin(page: Path) -> None:
    page.write_text("Text\n\n```python\n# a.py\nx = 1\n```\n\n```text\ntree\n```\n")

    blocks = list(read_blocks(page))

    assert [(block.place, block.language) for block in blocks] == [
        ("page.md:3", "python"),
        ("page.md:8", "text"),
    ]
    assert blocks[0].text == "# a.py\nx = 1\n"


def test_the_first_line_names_the_file(page: Path) -> None:
    page.write_text("```python\n# app/main.py\n```\n```python\n# app/main.py, continued\n```\n")

    first, second = read_blocks(page)

    assert first.file() == ("app/main.py", False)
    assert second.file() == ("app/main.py", True)


def test_a_block_that_names_no_file_is_refused(page: Path) -> None:
    page.write_text("```python\nimport pytest\n```\n")

    (block,) = read_blocks(page)

    with pytest.raises(PageError, match=r"page\.md:1: the first line must name the file"):
        block.file()


@pytest.mark.parametrize(
    "text",
    [
        "```\nx\n```\n",
        "```bash\nls\n```\n",
        "- item\n  ```python\n  ```\n",
        "```toml maybe\n```\n",
    ],
)
def test_a_block_that_nobody_would_run_is_refused(page: Path, text: str) -> None:
    page.write_text(text)

    with pytest.raises(PageError, match="a block begins at the margin"):
        list(read_blocks(page))


def test_a_block_without_an_end_is_refused(page: Path) -> None:
    page.write_text("```python\n# a.py\n")

    with pytest.raises(PageError, match="never closed"):
        list(read_blocks(page))


def test_hardly_any_block_is_not_run() -> None:
    left_out = [
        block.place for page in pages() for block in read_blocks(page) if block.words == "not-run"
    ]

    assert left_out == ["README.md:5"]  # scripts/demo and scripts/test, which CI runs themselves
