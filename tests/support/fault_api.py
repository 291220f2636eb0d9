"""The fault server's Batch API itself: jobs, their states and transcripts. No sockets here.

It also is the billing oracle: `BatchState.jobs` holds every job that was ever created, deleted ones too.
"""

import secrets
import time
from datetime import UTC, datetime, timedelta

import msgspec

LARGEST_PAGE = 100


class OracleJob(msgspec.Struct):
    """A job that was created, and so billed."""

    id: str
    reference: str | None
    sha256: str
    size: int
    data_name: str
    config: dict
    created_at: str
    request_id: str | None = None
    project: str | None = None
    forced_status: str | None = None
    reasons: list[str] = []
    created: float = 0.0  # seconds since 1970
    done_at: float = 0.0  # by time.monotonic()
    listed_at: float = 0.0  # by time.monotonic()


class Settings(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """How the server behaves when no fault strikes. Times are in seconds."""

    processing_time: float = 0.0
    listing_lag: float = 0.0
    list_config: bool = True
    long_poll: bool = True
    wait_cap: float = 20.0
    post_rate: int | None = None
    get_rate: int | None = None
    max_concurrent: int | None = None
    rate_retry_after: str | None = None
    key: str | None = None
    projects: dict[str, str] | None = None  # key -> project; None: every key sees all jobs
    same_created_at: int = 1  # so many jobs in a row share one created_at
    list_cap: int | None = None  # no list is longer, even if no limit is asked for


class Refusal(Exception):
    """An error answer of the API."""

    def __init__(self, status, error, detail=None, retry_after=None):
        super().__init__(error)
        self.status = status
        self.error = error
        self.detail = detail
        self.retry_after = retry_after


class BatchState:
    """All jobs, and what the API says about them."""

    def __init__(self, settings):
        self.settings = settings
        self.jobs = []
        self.reject_next = []  # lists of reasons, one for each coming job
        self._by_id = {}
        self._requests = {"post": [], "get": []}

    # limits

    def check_rate(self, kind, now):
        limit = self.settings.post_rate if kind == "post" else self.settings.get_rate
        if limit is None:
            return
        recent = self._requests[kind] = [at for at in self._requests[kind] if at > now - 1.0]
        if len(recent) >= limit:
            raise Refusal(429, "Rate Limited", retry_after=self.settings.rate_retry_after)
        recent.append(now)

    def check_concurrency(self):
        limit = self.settings.max_concurrent
        if limit is not None and sum(self.status(job) == "running" for job in self.jobs) >= limit:
            raise Refusal(429, "Max concurrent running jobs exceeded")

    # jobs

    def create(self, config, data_name, size, sha256, request_id=None, *, project=None):
        if config.get("type") != "transcription" or "transcription_config" not in config:
            raise Refusal(400, "Job rejected", "Job config JSON is invalid")
        if data_name is None and "fetch_data" not in config:
            raise Refusal(400, "Missing data_file")
        self.check_concurrency()
        now = time.monotonic()
        group = len(self.jobs) % self.settings.same_created_at
        created = self.jobs[-1].created if group and self.jobs else time.time()
        job = OracleJob(
            id=secrets.token_hex(5),
            reference=(config.get("tracking") or {}).get("reference"),
            sha256=sha256,
            size=size,
            data_name=data_name or config["fetch_data"]["url"],
            config=config,
            created_at=_timestamp(created),
            request_id=request_id,
            project=project,
            created=created,
            done_at=now + self.settings.processing_time,
            listed_at=now + self.settings.listing_lag,
        )
        if self.reject_next:
            job.forced_status, job.reasons = "rejected", self.reject_next.pop(0)
        self.jobs.append(job)
        self._by_id[job.id] = job
        return job

    def find(self, job_id, project=None):
        job = self._by_id.get(job_id)
        if job is None or job.forced_status == "deleted" or job.project != project:
            raise Refusal(404, "Job not found")
        if job.forced_status == "expired":
            raise Refusal(410, "Job Expired")
        return job

    def status(self, job):
        return job.forced_status or ("done" if time.monotonic() >= job.done_at else "running")

    def delete(self, job_id, force, project=None):
        job = self.find(job_id, project)
        if self.status(job) == "running" and not force:
            raise Refusal(423, "Resource Locked")
        job.forced_status = "deleted"
        return job

    def details(self, job, *, in_list=False):
        found = {
            "id": job.id,
            "created_at": job.created_at,
            "data_name": job.data_name,
            "duration": 10,
            "status": self.status(job),
        }
        if self.settings.list_config or not in_list:
            found["config"] = job.config
        if job.reasons:
            found["errors"] = [{"timestamp": job.created_at, "message": reason} for reason in job.reasons]
        return found

    def list(self, created_before=None, limit=None, *, include_deleted=False, project=None):
        if limit is not None and not 1 <= limit <= LARGEST_PAGE:
            raise Refusal(422, "Unprocessable Entity", "limit in query should be in 1..100")
        before = None if created_before is None else _milliseconds(created_before)
        now = time.monotonic()
        shown = []
        for job in reversed(self.jobs):
            hidden = self.status(job) in ({"expired"} if include_deleted else {"deleted", "expired"})
            if hidden or now < job.listed_at or job.project != project:
                continue
            if before is None or _milliseconds(job.created_at) < before:
                shown.append(self.details(job, in_list=True))
                if len(shown) in {limit, self.settings.list_cap}:
                    break
        return shown

    # transcripts

    def transcript(self, job_id, kind, project=None):
        """The transcript in one format, as (content type, bytes). Its words are made from the audio's hash."""
        job = self.find(job_id, project)
        if self.status(job) != "done":
            raise Refusal(404, "Transcription not ready")
        words = ["Recording", job.sha256[:12]]
        if kind == "txt":
            return "text/plain; charset=utf-8", (" ".join(words) + ".\n").encode()
        if kind == "srt":
            return "text/plain; charset=utf-8", f"1\n00:00:00,000 --> 00:00:01,000\n{' '.join(words)}.\n\n".encode()
        if kind != "json-v2":
            raise Refusal(404, "Format Not Supported")
        return "application/vnd.speechmatics.v2+json", msgspec.json.encode(_json_v2(job, words))

    def usage(self):
        each = {"mode": "batch", "type": "transcription", "count": len(self.jobs), "duration_hrs": 0.0}
        return {"since": "2024-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z", "summary": [each], "details": [each]}


def _json_v2(job, words):
    def item(kind, index, content, **more):
        alternative = {"content": content, "confidence": 0.9, "language": "en"}
        at = 0.5 * index
        return {"type": kind, "start_time": at, "end_time": at + 0.4, "alternatives": [alternative], **more}

    return {
        "format": "2.9",
        "job": {"id": job.id, "created_at": job.created_at, "data_name": job.data_name, "duration": 10},
        "metadata": {
            "created_at": job.created_at,
            "type": "transcription",
            "transcription_config": job.config["transcription_config"],
            "language_pack_info": {"word_delimiter": " "},
        },
        "results": [
            *(item("word", index, word) for index, word in enumerate(words)),
            item("punctuation", len(words), ".", attaches_to="previous", is_eos=True),
        ],
    }


def _timestamp(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _milliseconds(text):
    """A timestamp of up to nanoseconds, cut to whole milliseconds since 1970."""
    head, _, rest = text.partition(".")
    digits = "".join(digit for digit in rest if digit.isdigit()) if rest else ""
    try:
        when = datetime.fromisoformat(head.rstrip("Z").partition("+")[0]).replace(tzinfo=UTC)
    except ValueError as error:
        raise Refusal(422, "Unprocessable Entity", "created_before in query must be a date-time") from error
    whole = int((when - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    return whole + int(digits[:3].ljust(3, "0") or 0)
