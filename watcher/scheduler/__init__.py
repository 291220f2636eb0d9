"""What happens with an entry of the ledger, in the order in which it meets these modules.

`intake` puts it in, or `requests` does; `scheduler` claims it; `former` looks for a job that does for it already;
`submit` uploads it and commits before the tail is sent; `reconcile` settles lost answers; `track` waits for the
job, and `job_progress` asks how far it is; `deliver` writes the transcript; `cleanup` deletes the job and puts the
recording away, where that was asked for. `retry` decides about failures, `holds` about what stops submission,
`recovery` takes up what was left in the middle, and `loops` goes on whatever happens.
"""

from watcher.scheduler.account import Account, Connector, RateLimits
from watcher.scheduler.deliver import Deliverer
from watcher.scheduler.intake import Intake
from watcher.scheduler.job_progress import read_progress
from watcher.scheduler.loop import keep_going
from watcher.scheduler.requests import Request, Requests
from watcher.scheduler.scheduler import Scheduler
from watcher.scheduler.upload_source import Preparer

__all__ = [
    "Account",
    "Connector",
    "Deliverer",
    "Intake",
    "Preparer",
    "RateLimits",
    "Request",
    "Requests",
    "Scheduler",
    "keep_going",
    "read_progress",
]
