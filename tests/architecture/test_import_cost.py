"""Every pytest run of an environment loads the plugin, also those without an async test."""

import os
import subprocess
import sys
from pathlib import Path

# Each costs milliseconds, and a run without an async test needs none of them.
_EXPENSIVE = {
    "asyncio",
    "concurrent",
    "email",
    "http",
    "multiprocessing",
    "sqlite3",
    "ssl",
    "sysconfig",
    "tomllib",
    "unittest",
}

# A class or a function leads to its module and on to what has loaded it, which is pytest and knows
# all tests. Held by a cache of `typing` or by the thread's context, they are freed last, and that
# takes a large suite tenths of a second.
_LEFTOVERS = """
import contextvars, gc, pytest

assert pytest.main(["-q", "-ppytest_asgi.plugin"]) == 0
alias = type(pytest.StashKey[int])
aliases = [thing for thing in gc.get_objects() if isinstance(thing, alias)]
cached = [kind for thing in aliases for kind in thing.__args__]
held = [*cached, *contextvars.copy_context().values()]
print("left:", [it for it in held if str(getattr(it, "__module__", "")).startswith("pytest_asgi")])
"""


def _modules_added_by(module: str) -> set[str]:
    """Return the top-level names that importing a module brings into a pytest process."""
    code = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        f"import {module}\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {_public_name(name) for name in run.stdout.split()}


def _public_name(module: str) -> str:
    # The module with sysconfig's data has the platform in its name.
    return "sysconfig" if module.startswith("_sysconfigdata") else module


def test_loading_the_plugin_loads_no_other_distribution() -> None:
    added = _modules_added_by("pytest_asgi.plugin")

    assert added - sys.stdlib_module_names == {"pytest_asgi"}


def test_loading_the_plugin_loads_no_expensive_part_of_the_standard_library() -> None:
    added = _modules_added_by("pytest_asgi.plugin")

    assert added & _EXPENSIVE == set()


def test_importing_the_package_loads_nothing_that_costs() -> None:
    added = _modules_added_by("pytest_asgi")

    assert added & _EXPENSIVE == set()
    assert added - sys.stdlib_module_names == {"pytest_asgi"}


def test_a_run_leaves_nothing_that_python_frees_after_all_tests(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n", encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-c", _LEFTOVERS],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.endswith("left: []\n")
