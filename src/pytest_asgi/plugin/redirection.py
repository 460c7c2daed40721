"""Where the connections of a run go: known to the drivers before anything else is.

Every run of pytest loads this; the databases themselves are for those that use one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_asgi.adapters import drivers
from pytest_asgi.database.redirect import Redirect
from pytest_asgi.plugin import pytest_private

if TYPE_CHECKING:
    from pytest_asgi.database.stores import Store
    from pytest_asgi.database.targets import Target

_REDIRECT: pytest.StashKey[Redirect] = pytest.StashKey()


def redirect_of(config: pytest.Config) -> Redirect:
    """Return the redirect of a run; drivers ask it from before the first conftest on."""
    redirect = config.stash.get(_REDIRECT, None)
    if redirect is None:
        redirect = config.stash[_REDIRECT] = Redirect(_open_nothing)
        redirect.scratch_folder = partial(pytest_private.temporary_folder, config)
        config.add_cleanup(drivers.install(redirect))
    return redirect


def _open_nothing(target: Target) -> Store:
    raise AssertionError(f"{target} was asked for before the redirect was switched on")
