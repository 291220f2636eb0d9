"""The engines that recordings go to: accounts, their keys, and the local server."""
