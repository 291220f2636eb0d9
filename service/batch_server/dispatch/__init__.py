"""From an accepted job to its transcript: the queue, the dispatcher, retention, and who is told of a job's end."""
