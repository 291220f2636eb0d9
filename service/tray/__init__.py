"""The icon in the panel: a process of its own that follows the daemon through its control API."""
