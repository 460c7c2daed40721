"""The protocol: build scopes, check messages, call the app. No pytest, no HTTP client."""
