"""The shop's tests. They run with pytest and pytest-asgi and need no other plugin."""
