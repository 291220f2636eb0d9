"""One quiet HTTP server for everything that this program serves."""
