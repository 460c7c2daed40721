"""Made up values for the columns that need one, from polyfactory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_asgi.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Column


class ModelFactory:
    """Builds instances of one SQLAlchemy class.

    Args:
        model: The class.
        is_needed: Tells whether a column is given a value; the others are left to the model.

    Raises:
        MissingExtraError: polyfactory is not installed.
    """

    def __init__(self, model: type[Any], is_needed: Callable[[Column[Any]], bool]) -> None:
        try:
            from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory
        except ImportError as error:
            raise _not_installed(model) from error

        def should_column_be_set(factory: Any, column: Any) -> bool:
            is_argument = factory.should_dataclass_init_field(column.name)
            return is_argument and is_needed(column)

        # Not a class of our own: polyfactory would prefer it for the factories of the project.
        self._factory: Any = SQLAlchemyFactory.create_factory(
            model,
            __set_relationships__=False,
            __set_association_proxy__=False,
            should_column_be_set=classmethod(should_column_be_set),
        )

    def build(self, values: Mapping[str, Any], seed: int) -> Any:
        """Return an instance; the same seed gives the same one."""
        self._factory.seed_random(seed)
        return self._factory.build(**values)


def _not_installed(model: type[Any]) -> MissingExtraError:
    return MissingExtraError(
        f"db.make({model.__name__}) needs polyfactory, which is not installed.",
        why="Values that the test does not give are made up by polyfactory.",
        fix="Install it:\n\n    pip install polyfactory faker",
    )
