"""What a page is followed with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.reader import Environments, Reader


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    """The environments that the pages of this run share."""
    return Environments(tmp_path_factory.mktemp("environments"))


@pytest.fixture
def reader(tmp_path: Path, environments: Environments) -> Reader:
    """A reader in an empty folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    return Reader(folder, environments)
