"""trio: tests and fixtures on it, and a run of it in a thread for synchronous clients."""
