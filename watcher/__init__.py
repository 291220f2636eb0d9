"""A recording's way from a watch folder to its transcript, as a library: no UI, no OS service."""
