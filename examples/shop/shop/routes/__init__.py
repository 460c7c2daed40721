"""The HTTP and WebSocket surface: each module holds one router and no rules of the shop."""
