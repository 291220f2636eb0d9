"""A recording's way from a watch folder to its transcript, as a library: no UI, no OS service.

Read `watcher.daemon` first. Each module says in `__all__` what it offers; names are taken from where they are made, so
that asking for the state of things need not load what does the work. A test lists those that `service` uses.
"""
