"""All pauses and patience of the daemon, in one value that is passed in.

The defaults are what a running daemon uses; tests pass shorter ones. What a person may set is in the config instead,
and how long a file must be quiet is in `watcher.folders.stability.decide`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["DEFAULT", "FolderTimings", "RetryDelays", "SchedulerTimings", "Timings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDelays:
    """Delays before something that failed is tried again, in seconds.

    Attributes:
        first: after the first failure; doubles with each further one.
        longest: upper limit of that growth.
        offline: while the service can't be reached.
        output: after a file could not be written, or a watch folder was not there.
        concurrency: after the service refused a job because too many were running.
        first_throttle: after the first request over the rate limit, where the service names no delay; doubles.
        longest_throttle: upper limit of that growth.
        first_fault: after Dropscribe itself failed for the first time; doubles.
        longest_fault: upper limit of that growth.
        longest_requested: the longest delay that is granted to a service that asks for one.
    """

    first: float = 5.0
    longest: float = 900.0
    offline: float = 5.0
    output: float = 30.0
    concurrency: float = 15.0
    first_throttle: float = 0.25
    longest_throttle: float = 16.0
    first_fault: float = 60.0
    longest_fault: float = 3600.0
    longest_requested: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerTimings:
    """Pauses of the scheduler's loops, in seconds.

    Attributes:
        idle: between two looks at the ledger when nothing happens.
        lost_jobs: between two looks for jobs whose answers were lost, while there are any.
        lost_jobs_idle: the same while there are none.
        held_jobs: between two looks for a job that is HELD as unknown; should it turn up, it is adopted at no cost.
        list_error: before the job list is read again after an error.
        requeue: before a recording whose submission broke off early is submitted again.
        listed_within: after a submission, until a job that the list doesn't show is asked for by its id.
    """

    idle: float = 30.0
    lost_jobs: float = 0.2
    lost_jobs_idle: float = 10.0
    held_jobs: float = 600.0
    list_error: float = 10.0
    requeue: float = 5.0
    listed_within: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderTimings:
    """Pauses of watching folders, in seconds.

    Attributes:
        root_check: between checks that a root is still the same folder.
        poll: minimum between scans of a folder without OS events.
        watch_retry: before OS events are tried again after the watch limit was reached.
        answers_within: after which a folder whose disk or share doesn't respond is shown as unavailable.
        reported_within: within which the OS reports a new file; a first scan's files are not delivered earlier.
        redeliver_after: after which a recording that was taken but is not in the ledger is delivered again.
        same_move: within which equal moves reported by two folders are one move.
    """

    root_check: float = 2.0
    poll: float = 2.0
    watch_retry: float = 600.0
    answers_within: float = 20.0
    reported_within: float = 1.0
    redeliver_after: float = 120.0
    same_move: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Everything that the daemon waits for by the clock, in seconds.

    Attributes:
        retry: delays after failures.
        scheduler: pauses of its loops.
        folders: pauses of watching.
        once_incomplete: how long `run --once` waits for the rest of an incomplete file.
        once_quiet: between the two looks that show `run --once` that nothing is left to do.
        baseline: between two checks whether all that was in a new folder is in the ledger.
        finish_uploads: how long running uploads may go on when the daemon is stopped; what is cut off makes no job.
        config: between two checks whether the config file has changed.
        status: between two updates of the service manager's status line.
    """

    retry: RetryDelays = field(default_factory=RetryDelays)
    scheduler: SchedulerTimings = field(default_factory=SchedulerTimings)
    folders: FolderTimings = field(default_factory=FolderTimings)
    once_incomplete: float = 5.0
    once_quiet: float = 0.1
    baseline: float = 1.0
    finish_uploads: float = 5.0
    config: float = 2.0
    status: float = 1.0


DEFAULT = Timings()
