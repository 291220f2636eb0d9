"""From an accepted job to its transcript: the queue, the dispatcher, events, and retention."""
