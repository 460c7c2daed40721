"""What a test or a fixture leaves behind: who began it and where, and whether it is still there.

Each kind of thing has a module that takes note when one begins, in the context of whoever causes
it: the context's `keeper` is who has to end it. Nothing here is imported unless a test is watched.
"""
