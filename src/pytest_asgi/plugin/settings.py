"""What a project may set: ini keys, command line flags and the mark, read into one frozen object.

One option has one name in three places: `asgi_lifespan`, `--asgi-lifespan`, `lifespan=`.
"""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from pytest_asgi.errors import SettingsError

if TYPE_CHECKING:
    from pytest_asgi.asgi.modes import Mode

    Isolation = Literal["restore", "clone", "transaction", "off"]

__tracebackhide__ = True  # a wrong mark is the user's

_CONCURRENT_IF_MARKED = 20


class Settings(NamedTuple):
    """The options of a session, or of one test that overrides them with its mark.

    Attributes:
        app: Where the app is, as `module:name`; empty when it is to be found.
        loop: What makes the event loop: `asyncio`, `uvloop` or `module:factory`; or
            `trio`, on which tests run then unless they are marked otherwise.
        lifespan: Whether the app's lifespan runs: `on`, `off`, or `variables` if tests are to see
            the context variables that it sets.
        rules: What happens when the app breaks a rule of ASGI: `error`, `strict`, `warn` or `off`.
        compat: Whether stand-ins answer for peers: `on` for one that is not installed,
            `testclient` or `testclient-in-thread` for Starlette's `TestClient` as well, or `off`.
        schema: What makes the tables of the test database: words that each name an `alembic.ini`,
            a `.sql` file, or `module:name` of SQLAlchemy metadata or of a function.
        database: The kind of database, or the URL of a server to make test databases on; empty
            when the app's own connections tell.
        isolation: How tests are kept apart: `restore`, `clone`, `transaction` or `off`.
        database_allow: Patterns of databases that are connected to for real, separated by spaces.
        database_keep: Whether a schema that was built is kept for later runs: `on` or `off`.
        n_plus_one: What happens when a request executes one query for each row of another:
            `off`, `warn` or `error`, and how often it has to be the same, as in `warn:5`.
        timeout: How many seconds the set-up, the body and the tear-down of a test may take, each;
            `off` for no limit.
        blocking: What happens when a call keeps the loop from going on: `off`, `warn` or `error`,
            and after how many milliseconds, as in `warn:100`; or `strict`.
        concurrency: How many tests may run at the same time; `marked` for those only whose mark
            says so, `off` for none.
        concurrent: Whether this test may run beside others; `None` if its mark does not say.
        alone: The name of a group of tests of which only one runs at a time.
        leaks: What happens when a test or a fixture leaves something behind: `off`, `warn` or
            `error`.
        allow_leaks: What may be left behind: kinds, or `kind:pattern`.
    """

    app: str = ""
    loop: str = "asyncio"
    lifespan: str = "on"
    rules: Mode = "error"
    compat: str = "on"
    schema: str = ""
    database: str = ""
    isolation: Isolation = "restore"
    database_allow: str = ""
    database_keep: str = "off"
    n_plus_one: str = "warn"
    timeout: float | str = "off"
    blocking: str = "off"
    concurrency: str = "marked"
    concurrent: bool | None = None
    alone: str = ""
    leaks: str = "off"
    allow_leaks: tuple[str, ...] = ()

    @property
    def names_database(self) -> bool:
        """Whether the project has said which database the app has, or how to build it."""
        return bool(self.schema or self.database)

    @property
    def are_all_concurrent(self) -> bool:
        """Whether tests run at the same time although no mark says so."""
        return self.concurrency.isdecimal() and self.concurrency != "1"

    @property
    def concurrency_limit(self) -> int:
        """How many tests may run at the same time."""
        return int(self.concurrency) if self.concurrency.isdecimal() else _CONCURRENT_IF_MARKED


class _Option(NamedTuple):
    name: str
    help: str
    values: tuple[str, ...] = ()
    or_import_path: bool = False
    or_matching: str = ""
    example: str = ""
    in_mark: bool = False
    if_not_set: str = "found automatically"
    several: bool = False  # words; those of a mark are added

    @property
    def flag(self) -> str:
        return f"--asgi-{self.name.replace('_', '-')}"


_LEAKS = ("task", "stream", "generator", "client", "socket", "process", "thread", "state")
_SCHEMA_WORD = r"(\S+\.(ini|sql)|[\w.]+:[\w.]+)"

_POSITIVE_NUMBER = r"(?=.*[1-9])\d*\.?\d+"

_OPTIONS = (
    _Option(
        "app",
        "where the app is: MODULE:NAME (an app, or a function that returns one)",
        or_import_path=True,
    ),
    _Option(
        "loop",
        "what makes the session's event loop: asyncio, uvloop or MODULE:FACTORY; trio: async tests"
        " run on trio",
        values=("asyncio", "uvloop", "trio"),
        or_import_path=True,
    ),
    _Option(
        "lifespan",
        "whether the client fixture runs the app's lifespan: on, off, or variables, so that "
        "requests see the context variables that it sets",
        values=("on", "off", "variables"),
        in_mark=True,
    ),
    _Option(
        "rules",
        "what happens when the app breaks a rule of ASGI: error, strict, warn or off",
        values=("error", "strict", "warn", "off"),
        in_mark=True,
    ),
    _Option(
        "compat",
        "whether a stand-in answers `import pytest_asyncio` when it is not installed: on or off;"
        " testclient: and ours for `from starlette.testclient import TestClient`;"
        " testclient-in-thread: and the app in another thread",
        values=("on", "off", "testclient", "testclient-in-thread"),
    ),
    _Option(
        "schema",
        "what makes the tables of the test database: an alembic.ini, a .sql file, MODULE:NAME of"
        " SQLAlchemy metadata or of a function; or several, in order",
        or_matching=rf"({_SCHEMA_WORD}\s*)+",
        example="MODULE:NAME, PATH/alembic.ini, PATH/schema.sql",
        if_not_set="the app makes its own",
    ),
    _Option(
        "database",
        "the kind of database that tests use: postgresql, sqlite, mongodb or redis; or the URL of"
        " a server to make test databases on",
        values=("postgresql", "sqlite", "mongodb", "redis"),
        or_matching=r"(postgresql|postgres|mongodb|mongodb\+srv|redis|rediss|unix)://\S*",
        example="postgresql://USER@HOST/NAME",
        if_not_set="told by the app's own connections",
    ),
    _Option(
        "isolation",
        "how the database is kept clean: restore (put back after each test), clone (one for each"
        " test), transaction (rolled back after each test; PostgreSQL only), or off",
        values=("restore", "clone", "transaction", "off"),
        in_mark=True,
    ),
    _Option(
        "database_allow",
        "databases that tests may really connect to: URLs or names, with * and ?",
        or_matching=r"[\s\S]*",
        if_not_set="none",
    ),
    _Option(
        "database_keep",
        "whether the database that the schema was built in is kept for later runs: on or off",
        values=("on", "off"),
    ),
    _Option(
        "n_plus_one",
        "what happens when a request executes the same query again and again, for each row of"
        " another: off, warn (in the summary) or error; warn:5 for five times or more",
        values=("off", "warn", "error"),
        or_matching=r"(warn|error):[1-9]\d*",
        example="warn:TIMES, error:TIMES",
        in_mark=True,
    ),
    _Option(
        "timeout",
        "how many seconds the set-up, the body and the tear-down of a test may take, each; what"
        " takes longer is ended, and says what it waits for",
        values=("off",),
        or_matching=_POSITIVE_NUMBER,
        example="SECONDS",
        in_mark=True,
    ),
    _Option(
        "blocking",
        "what happens when a call keeps the loop from going on: off, warn or error, after 100 ms;"
        " warn:20 after 20; strict: blockbuster refuses what could, at once",
        values=("off", "warn", "error", "strict"),
        or_matching=r"(warn|error):[1-9]\d*",
        example="warn:MILLISECONDS, error:MILLISECONDS",
        in_mark=True,
    ),
    _Option(
        "concurrency",
        "how many async tests may run at the same time in the one loop: a number; marked, for"
        " those only whose mark says concurrent=True; or off",
        values=("marked", "off"),
        or_matching=r"[1-9]\d*",
        example="NUMBER",
    ),
    _Option(
        "leaks",
        "what happens when a test or a fixture leaves a task, a client, a thread or the like"
        " behind: off, warn (in the summary) or error",
        values=("off", "warn", "error"),
        in_mark=True,
    ),
    _Option(
        "allow_leaks",
        "what may be left behind: kinds of things, or KIND:NAME, in which * and ? may stand",
        values=_LEAKS,
        or_matching=rf"({'|'.join(_LEAKS)}):\S+",
        example="KIND:NAME",
        in_mark=True,
        if_not_set="none",
        several=True,
    ),
)

# What only a mark can say, with the type of its value.
_IN_MARKS_ONLY = {"concurrent": bool, "alone": str}


def add_options(parser: pytest.Parser) -> None:
    """Make the options known to pytest, each as an ini key and as a flag."""
    group = parser.getgroup("asgi", "async web apps (pytest-asgi)")
    defaults = Settings()
    for option in _OPTIONS:
        default = getattr(defaults, option.name)
        text = f"{option.help} (default: {default or option.if_not_set})"
        parser.addini(f"asgi_{option.name}", text, default=default)
        group.addoption(option.flag, dest=f"asgi_{option.name}", metavar="VALUE", help=text)
    group.addoption(
        "--asgi-explain",
        action="store_true",
        help="say of each test that runs alone why no other runs beside it",
    )


def read_settings(config: pytest.Config) -> Settings:
    """Read the options: a flag wins over an ini key.

    Raises:
        pytest.UsageError: A value is not valid.
    """
    values: dict[str, Any] = {}
    for option in _OPTIONS:
        key, flag = f"asgi_{option.name}", option.flag
        given = config.getoption(key)
        value = config.getini(key) if given is None else given
        values[option.name] = _words(value) if option.several else value
        problem = _problem(option, values[option.name])
        if problem:
            raise pytest.UsageError(f"{flag if given is not None else key}: {problem}")
    return Settings(**values)


def settings_of_test(item: pytest.Item, session: Settings) -> Settings:
    """Return the settings of one test: those of the session, and what its marks override.

    Raises:
        SettingsError: A mark has an argument that is not valid.
    """
    if "asgi" not in item.keywords:  # which has the names of all marks, and is quick to ask
        return session
    for mark in reversed(list(item.iter_markers("asgi"))):  # the closest one last
        _check_mark(mark)
        changes = dict(mark.kwargs)
        if "allow_leaks" in changes:
            changes["allow_leaks"] = (*session.allow_leaks, *_words(changes["allow_leaks"]))
        session = session._replace(**changes)
    return session


def _check_mark(mark: pytest.Mark) -> None:
    options = {option.name: option for option in _OPTIONS if option.in_mark}
    known = [*options, *_IN_MARKS_ONLY]
    if mark.args:
        raise _invalid_mark(f"{mark.args[0]!r} has no name", known)
    for name, value in mark.kwargs.items():
        if name not in known:
            raise _invalid_mark(f"there is no {name!r}", known)
        if name in options:
            words = _words(value) if options[name].several else value
            problem = _problem(options[name], words)
        else:
            problem = _problem_of_type(_IN_MARKS_ONLY[name], value)
        if problem:
            raise _invalid_mark(f"{name}: {problem}", known)


def _problem_of_type(kind: type, value: object) -> str | None:
    if isinstance(value, kind):
        return None
    return f"{value!r} is not valid; it must be a {kind.__name__}"


def _words(value: Any) -> tuple[Any, ...]:
    """Return the words of an option that takes several: a text with spaces, or a list."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _problem(option: _Option, value: object) -> str | None:
    if isinstance(value, tuple):
        single = option._replace(several=False)
        return next(filter(None, (_problem(single, word) for word in value)), None)
    if value == getattr(Settings(), option.name) or value in option.values:
        if option.name == "loop" and value == "uvloop" and not importlib.util.find_spec("uvloop"):
            return "uvloop is not installed; install it with: pip install 'pytest-asgi[uvloop]'"
        return None
    if option.or_import_path and isinstance(value, str) and _is_import_path(value):
        return None
    text = str(value) if type(value) in {int, float} else value  # a mark may give a number
    if isinstance(text, str) and option.or_matching and re.fullmatch(option.or_matching, text):
        return None
    valid = [*option.values, *(["MODULE:NAME"] if option.or_import_path else [])]
    valid += [option.example] if option.example else []
    return f"{value!r} is not valid; valid values: {', '.join(valid)}"


def _is_import_path(value: str) -> bool:
    module, colon, name = value.removesuffix("()").partition(":")
    if module.endswith(".py"):  # a file name
        return False
    return bool(colon) and all(
        part.isidentifier() for part in [*module.split("."), *name.split(".")]
    )


def _invalid_mark(problem: str, known: list[str]) -> SettingsError:
    return SettingsError(
        f"@pytest.mark.asgi(…): {problem}.",
        why="The mark takes the options of pytest-asgi that one test may change.",
        fix=f"Valid keywords: {', '.join(known)}.",
    )
