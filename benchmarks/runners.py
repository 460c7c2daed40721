"""Who runs the tests: pytest alone, our plugin, and its peers, each without the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.processes import Child, Workspace


@dataclass(frozen=True)
class Runner:
    """One way to run a suite: at most one plugin, with the options its users write."""

    name: str
    plugin: str = ""
    options: Sequence[str] = ()
    conftest: str = ""

    @property
    def is_installed(self) -> bool:
        return not self.plugin or find_spec(self.plugin.partition(".")[0]) is not None

    @property
    def arguments(self) -> list[str]:
        """What pytest's command line says to load this plugin as its users do."""
        return [*(("-p", self.plugin) if self.plugin else ()), *self.options]

    def run(self, workspace: Workspace, suite: Path, *arguments: str, status: int = 0) -> Child:
        """Run pytest in the folder `suite` with this plugin and no other."""
        command = ["-m", "pytest", "-q", *self.arguments, *arguments]
        return workspace.run_python(command, cwd=suite, status=status)


PYTEST = Runner("pytest alone")
# The same once more: how far two equal runs are apart is the noise of the machine.
PYTEST_AGAIN = Runner("pytest alone, again")
OURS = Runner("pytest-asgi", plugin="pytest_asgi.plugin")
OURS_LIMITED = Runner(
    "pytest-asgi, asgi_timeout",
    plugin=OURS.plugin,
    options=("-o", "asgi_timeout=60"),
)
PYTEST_ASYNCIO = Runner(
    "pytest-asyncio",
    plugin="pytest_asyncio.plugin",
    options=("-o", "asyncio_mode=auto"),
)
PYTEST_ASYNCIO_SESSION = Runner(
    "pytest-asyncio, session loop",
    plugin="pytest_asyncio.plugin",
    options=(
        *PYTEST_ASYNCIO.options,
        *("-o", "asyncio_default_test_loop_scope=session"),
        *("-o", "asyncio_default_fixture_loop_scope=session"),
    ),
)
ANYIO = Runner(
    "anyio",
    plugin="anyio.pytest_plugin",
    options=("-o", "anyio_mode=auto"),
    # Without it anyio runs every test twice, the second time on trio.
    conftest=(
        "import pytest\n\n\n"
        "@pytest.fixture(scope='session')\n"
        "def anyio_backend():\n"
        "    return 'asyncio'\n"
    ),
)


def installed(runners: Sequence[Runner]) -> list[Runner]:
    """Return the runners that this environment has."""
    return [runner for runner in runners if runner.is_installed]
