"""What the operating system says about files: watchdog, inotify, and where each event goes."""
