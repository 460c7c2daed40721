"""WebSocket connections to an app in process: sessions for tests, and what answers a handshake.

Nothing here needs an extra: the messages of ASGI go from the session to the app and back as they
are. Frames are made only for the sessions of other libraries.
"""
