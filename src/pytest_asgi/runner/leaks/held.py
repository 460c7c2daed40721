"""Things that have to be closed: whether they were, and whether somebody still can.

A client in a module, or one that the app keeps for later, is open on purpose. One that nobody has
any more will never be closed. So each is kept until its test is over and then let go.
"""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_asgi.runner.leaks.keepers import Held, Keeper, Leak


def has_open_things(holder: Keeper) -> bool:
    """Tell whether anything is to be closed that was not."""
    holder.held = [held for held in holder.held if held.is_open(held.thing)]
    return bool(holder.held)


def lost_things(holder: Keeper, values: Collection[object]) -> list[Leak]:
    """Return what will never be closed, and keep the rest for the next time.

    Args:
        holder: Whose things they are.
        values: The values of fixtures that are over: nobody has them, but pytest.
    """
    if not has_open_things(holder):
        return []
    dead = {id(value) for value in values}
    lost, kept = [], []
    for held in holder.held:
        if held.is_known_to_loop or id(held.thing) in dead:
            lost.append(held.leak)
        else:
            kept.append(held)
    # What ends here would say so itself, of a place where it was not begun.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        holder.held, gone = _let_go(kept)
    return lost + gone


def _let_go(kept: list[Held]) -> tuple[list[Held], list[Leak]]:
    references = [ref(held.thing) for held in kept]
    for held in kept:
        held.thing = None
    if any(reference() is not None for reference in references):
        gc.collect()
    found, gone = [], []
    for held, reference in zip(kept, references, strict=True):
        held.thing = reference()
        if held.thing is None:
            gone.append(held.leak)
        else:
            found.append(held)
    return found, gone
