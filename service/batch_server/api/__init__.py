"""The HTTP side of the server: endpoints, uploads, parameters, keys and rate limits."""
