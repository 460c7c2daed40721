"""`scripts/demo`: run the example shop's own suite, as a user of pytest-asgi would.

Then a test that fails on purpose shows what a check of the database says.
"""

from __future__ import annotations

from pythons import find_pythons
from tasks.environments import ROOT, prepare, say

_SHOP = ROOT / "examples" / "shop"
_FAILING = ("tests/fails_on_purpose.py", "-q", "-rN", "--tb=short", "-pno:cacheprovider")
_BEFORE_FAILING = """
The suite has passed. What does a check of the database say when it fails?
One more test FAILS ON PURPOSE, and does not count:

$ pytest tests/fails_on_purpose.py
"""
_AFTER_FAILING = """
The failure above is meant to be there: what the app wrote stands beside what the test expected.
"""
_ENDING = """
That was an async FastAPI service with a database, background tasks, SSE and WebSockets.
Its suite has no event-loop settings, no client set-up and no clean-up: what the app commits is
gone after each test. Look at:

  examples/shop/tests/   the suite: plain `async def test_…(client, db)`
  examples/shop/         the service; nothing in it knows about tests
  README.md              the same in one screen, for your own project
"""


def main(arguments: list[str]) -> int:
    """Run pytest in the shop's folder; arguments are for pytest."""
    environment = prepare("demo", next(find_pythons()), lock="demo", install="wheel")
    say("$ cd examples/shop\n$ pytest " + " ".join(arguments))
    code = environment.run("pytest", *arguments, cwd=_SHOP)
    if code == 0:
        say(_BEFORE_FAILING)
        database = [word for word in arguments if word == "--sqlite"]
        environment.run("pytest", *_FAILING, *database, cwd=_SHOP)
        say(_AFTER_FAILING)
        say(_ENDING)
    return code
