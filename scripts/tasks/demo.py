"""`scripts/demo`: run the example shop's own suite, as a user of pytest-asgi would."""

from __future__ import annotations

from pythons import find_pythons
from tasks.environments import ROOT, prepare, say

_SHOP = ROOT / "examples" / "shop"
_ENDING = """
That was an async FastAPI service with a database, background tasks, SSE and WebSockets.
Its suite has no event-loop settings and no client set-up. Look at:

  examples/shop/tests/   the suite: plain `async def test_…(client)`
  examples/shop/         the service; nothing in it knows about tests
  README.md              the same in one screen, for your own project
"""


def main(arguments: list[str]) -> int:
    """Run pytest in the shop's folder; arguments are for pytest."""
    environment = prepare("demo", next(find_pythons()), lock="demo", install="wheel")
    say("$ cd examples/shop\n$ pytest " + " ".join(arguments))
    code = environment.run("pytest", *arguments, cwd=_SHOP)
    if code == 0:
        say(_ENDING)
    return code
