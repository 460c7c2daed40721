"""Own the event loop: run coroutines and synchronous code in it. Knows neither HTTP nor pytest."""
