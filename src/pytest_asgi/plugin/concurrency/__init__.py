"""Tests at the same time in one loop: `asgi_concurrency`.

Tests that wait let others go on. Consecutive tests of one module or class that may do so form a
segment (`segments`); each runs pytest's own phases in a task and a context of its own (`crowd`),
and is reported when its turn comes, so that nothing but the time changes. `solitude` says which
tests run alone, and why.
"""
