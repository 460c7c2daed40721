"""Talk to an app in process. Importing this package alone loads nothing, least of all httpx2."""
