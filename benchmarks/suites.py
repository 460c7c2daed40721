"""Test suites that do nothing, written to disk: what remains is the runner's own cost."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

TESTS_PER_FILE = 100
VALUE = "what the fixture gives"


@dataclass(frozen=True)
class Suite:
    """The shape of a suite: how many tests, of which kind, with a generator fixture or not."""

    tests: int
    is_async: bool = False
    has_fixture: bool = False
    body: str = "pass"
    tests_per_file: int = TESTS_PER_FILE

    def write(self, folder: Path, *, conftest: str = "") -> Path:
        """Write the suite's files into the empty `folder` and return it."""
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "conftest.py").write_text(conftest, encoding="utf-8")
        for number, first in enumerate(range(0, self.tests, self.tests_per_file)):
            count = min(self.tests_per_file, self.tests - first)
            text = "\n\n".join(self._definitions(count))
            (folder / f"test_file_{number:03}.py").write_text(text, encoding="utf-8")
        return folder

    def failing(self, tests: int) -> "Suite":
        """Return a small twin whose tests fail, if they are run with what they asked for."""
        body = f"assert thing != {VALUE!r}" if self.has_fixture else "raise AssertionError"
        return replace(self, tests=tests, body=body)

    def _definitions(self, count: int) -> Iterator[str]:
        function = "async def" if self.is_async else "def"
        if self.has_fixture:
            yield f"import pytest\n\n\n@pytest.fixture\n{function} thing():\n    yield {VALUE!r}\n"
        argument = "thing" if self.has_fixture else ""
        for number in range(count):
            yield f"{function} test_{number}({argument}):\n    {self.body}\n"
