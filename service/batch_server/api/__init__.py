"""The HTTP side of the server: endpoints, uploads, parameters, authentication and rate limits."""
