"""What happens with an entry of the ledger, in the order in which it meets these modules.

`intake` puts it in, using `classify`, or `requests` does. `scheduler` has one `worker` per account, which claims it
and owns all state of the account. `adopt` looks for an orphaned job that does for it; `submit` uploads it (from
`upload_source`, while `consent` and `uploads` watch) and commits before the tail is sent; `reconcile` settles lost
answers. `track` waits for the job, and `job_progress` asks how far it is. `deliver` fetches and writes the transcript,
when `publisher` says so. `cleanup` deletes the job and disposes of the recording (`dispose`), where that was asked for.

`retry` decides about failures; `breaker`, `holds` and `visibility` say whether an account can be used, and with which
key; `realign` follows the config; and `loop` is the shape of everything that repeats.
"""

from watcher.scheduler.account import Account, Connector, RateLimits
from watcher.scheduler.intake import Intake
from watcher.scheduler.job_progress import read_progress
from watcher.scheduler.loop import Loop
from watcher.scheduler.requests import Request, Requests
from watcher.scheduler.scheduler import Scheduler
from watcher.scheduler.upload_source import Preparer

__all__ = [
    "Account",
    "Connector",
    "Intake",
    "Loop",
    "Preparer",
    "RateLimits",
    "Request",
    "Requests",
    "Scheduler",
    "read_progress",
]
