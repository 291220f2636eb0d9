"""What keeps the daemon running, and shows it to people: command line, embedded server, tray, page, OS service."""
