"""pytest's own assertions about changes of a database."""

from __future__ import annotations

from tests.plugin.world import World
from tests.promises import promise


@promise("database.diff-shown")
def test_a_failing_comparison_shows_rows_side_by_side(world: World) -> None:
    world.write(
        test_a="""
        from pytest_asgi.database.changes import Inserted

        def test_a():
            assert [Inserted(id=1, email="a@b.c")] == [Inserted(id=1, email="A@b.c")]

        def test_row():
            assert Inserted(id=1) == Inserted(id=2)

        def test_expected_may_stand_on_either_side():
            assert [] == [Inserted(id=1)]

        def test_others_are_left_alone():
            assert [1] == [2]

        def test_other_operators_too():
            assert Inserted(id=1) != Inserted(id=1)
        """
    )

    result = world.run()

    result.stdout.fnmatch_lines(
        [
            "E       AssertionError: assert written == expected",
            "E         differs     Inserted(id=1, email='a@b.c')",
            "E                  written  expected",
            "E           email  'a@b.c'  'A@b.c'",
            "E           id  1        2",
            "E         missing     Inserted(id=1)",
            "E       assert [[]1[]] == [[]2[]]",
            "E       assert Inserted(id=1) != Inserted(id=1)",
        ]
    )
    assert result.parseoutcomes() == {"failed": 5}


def test_a_dictionary_of_changes_is_compared_table_by_table(world: World) -> None:
    world.write(
        test_a="""
        from pytest_asgi.database.changes import Inserted
        from pytest_asgi.database.recording import SyncChanges

        class Recording:
            def end(self):
                return {"users": [Inserted(id=1)], "orders": [Inserted(id=5)]}

        def test_left():
            assert SyncChanges(Recording(), str) == {"users": [Inserted(id=1)]}

        def test_right():
            assert {"users": [Inserted(id=1)]} == SyncChanges(Recording(), str)
        """
    )

    result = world.run()

    result.stdout.fnmatch_lines(
        [
            "*assert written == expected, except for orders",
            "E         orders:",
            "E           unexpected  Inserted(id=5)",
        ]
        * 2
    )
    result.stdout.no_fnmatch_line("*users:*")
