"""From a queued job to its transcript: the queue, the dispatcher, and how long results are kept."""
