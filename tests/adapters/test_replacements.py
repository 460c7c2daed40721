"""What is replaced is put back, and of two runs of pytest in one process one has its turn."""

from collections.abc import Callable
from typing import Any

from pytest_asgi.adapters.replacements import Replacements


class Driver:
    """A driver with one method."""

    def connect(self) -> str:
        """Return who connects."""
        return "driver"

    @classmethod
    def of_class(cls) -> str:
        """Return who connects."""
        return cls.__name__


class Child(Driver):
    """Inherits what is replaced in it."""


def _saying(name: str) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        return lambda *args: f"{name} {original(*args)}"

    return make


def test_it_is_put_back() -> None:
    before = dict(vars(Driver))
    replacements = Replacements()
    replacements.wrap(Driver, "connect", _saying("we"))
    replacements.wrap(Driver, "of_class", _saying("we"))
    assert (Child().connect(), Child.of_class()) == ("we driver", "we Child")

    replacements.undo()

    assert dict(vars(Driver)) == before


def test_what_was_inherited_is_inherited_again() -> None:
    replacements = Replacements()
    replacements.wrap(Child, "connect", _saying("we"))
    assert (Child().connect(), Driver().connect()) == ("we driver", "driver")

    replacements.undo()

    assert "connect" not in vars(Child)


def test_the_newer_run_has_its_turn_alone() -> None:
    outer, inner = Replacements(), Replacements()
    outer.wrap(Driver, "connect", _saying("outer"))
    inner.wrap(Driver, "connect", _saying("inner"))
    assert Driver().connect() == "inner driver"

    inner.undo()
    assert Driver().connect() == "outer driver"

    outer.undo()
    assert Driver().connect() == "driver"
