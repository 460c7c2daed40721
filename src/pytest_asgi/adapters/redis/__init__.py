"""Redis: a server of our own, or empty databases of another one, put back after each test.

Our own work on it needs no driver; the app's is asked where to connect once it is imported.
"""

from pytest_asgi.adapters.redis.opener import RedisOpener

__all__ = ["RedisOpener"]
