"""MongoDB: a server of our own, or names of our own on another one, put back after each test.

PyMongo is imported when a store is needed, unless the app has done so before.
"""

from pytest_asgi.adapters.mongo.opener import MongoOpener

__all__ = ["MongoOpener"]
