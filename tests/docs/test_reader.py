"""The reader notices when a page does not say what is true."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.docs.blocks import PageError
from tests.docs.reader import Reader


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.md"


def _write(page: Path, text: str) -> Path:
    page.write_text(dedent(text), encoding="utf-8")
    return page


def test_a_command_that_fails_without_a_word_about_it_is_noticed(
    reader: Reader, page: Path
) -> None:
    _write(
        page,
        """\
        ```python
        # fail.py
        raise SystemExit(3)
        ```

        ```console
        $ python fail.py
        ```
        """,
    )

    with pytest.raises(PageError, match=r"page\.md:6: `python fail\.py` ended with 3"):
        reader.follow(page)


def test_another_output_than_the_page_shows_is_noticed(reader: Reader, page: Path) -> None:
    _write(
        page,
        """\
        ```python
        # hello.py
        print("Hello")
        ```

        ```console
        $ python hello.py
        Good morning
        ```
        """,
    )

    with pytest.raises(PageError, match="printed\n\nHello\n"):
        reader.follow(page)


def test_a_file_that_no_command_uses_is_noticed(reader: Reader, page: Path) -> None:
    _write(
        page,
        """\
        ```python
        # hello.py
        print("Hello")
        ```
        """,
    )

    with pytest.raises(PageError, match=r"no command runs after page\.md:1 \(hello\.py\)"):
        reader.follow(page)


def test_later_blocks_replace_a_file_or_continue_it(reader: Reader, page: Path) -> None:
    _write(
        page,
        """\
        ```python
        # hello.py
        raise NotImplementedError
        ```

        ```python
        # hello.py
        print("Hello")
        ```

        ```python
        # hello.py, continued
        print("Ada")
        ```

        ```console
        $ python hello.py
        Hello
        Ada
        ```
        """,
    )

    reader.follow(page)


def test_a_plugin_is_there_only_after_the_page_installs_it(reader: Reader, page: Path) -> None:
    _write(
        page,
        """\
        ```python
        # test_hello.py
        async def test_hello():
            pass
        ```

        ```console
        $ pytest -q
        …
        1 failed in 0.01s
        $ pip install pytest-asgi
        $ pytest -q
        …
        1 passed in 0.01s
        ```
        """,
    )

    reader.follow(page)


def test_an_optional_package_is_there_only_after_the_page_installs_it(
    reader: Reader, page: Path
) -> None:
    _write(
        page,
        """\
        ```console
        $ python -c "import httpx"
        …
        ModuleNotFoundError: No module named 'httpx'
        $ pip install pytest-asgi[httpx]
        $ python -c "import httpx"
        $ pip uninstall httpx
        $ python -c "import httpx"
        …
        ModuleNotFoundError: No module named 'httpx'
        ```
        """,
    )

    reader.follow(page)


def test_a_command_that_nobody_knows_is_refused(reader: Reader, page: Path) -> None:
    _write(
        page,
        """\
        ```console
        $ rm -r tests
        ```
        """,
    )

    with pytest.raises(PageError, match="nobody here knows the command `rm`"):
        reader.follow(page)
