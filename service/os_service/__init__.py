"""Runs the daemon in the background: systemd, launchd, Windows' Task Scheduler."""
