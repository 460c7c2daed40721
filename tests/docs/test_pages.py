"""Every page of the documentation does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, pages
from tests.docs.reader import Reader
from tests.mongodb import HAS_MONGODB

_FOLLOWED = [page for page in pages() if HAS_MONGODB or page.stem != "test-with-mongodb"]


@pytest.mark.parametrize("page", _FOLLOWED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_says_happens(page: Path, reader: Reader) -> None:
    reader.follow(page)
