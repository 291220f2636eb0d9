"""The server's jobs on disk: one SQLite database and a folder of audio files.

A job exists from the moment its row is committed; its audio is flushed to disk before that. Everything else that a
crash leaves in the folders (an unfinished upload, audio of a deleted job) is removed at the start.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from service.batch_server.job import Job, JobError, Status, creation_time, new_id, now_micros, timestamp
from service.batch_server.store.audio_files import AudioFiles
from service.batch_server.store.connection import Connection

_NO_LIMIT: Final = -1

_errors_decoder: Final = msgspec.json.Decoder(tuple[JobError, ...])


class PendingWebhook(NamedTuple):
    """A webhook that still has to be called.

    Attributes:
        job_id: The job.
        number: Its position in the config's ``notification_config``.
    """

    job_id: str
    number: int


class TooManyUnfinished(Exception):
    """An owner has as many unfinished jobs as allowed."""


def _job(row: tuple[Any, ...]) -> Job:
    ident, owner, created, data_name, config, status, duration, crashes, errors, finished = row
    return Job(
        id=ident,
        owner=owner,
        created=created,
        data_name=data_name,
        config=config,
        status=status,
        duration=duration,
        crashes=crashes,
        errors=_errors_decoder.decode(errors) if errors else (),
        finished=finished,
    )


def _columns(job: Job) -> dict[str, object]:
    return {
        "id": job.id,
        "owner": job.owner,
        "created": job.created,
        "data_name": job.data_name,
        "config": job.config,
    }


def _remains(config: bytes) -> bytes:
    """Reduce a config to what a list of deleted jobs needs: other parts hold credentials, names, vocabulary."""
    fields = msgspec.json.decode(config, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({name: fields[name] for name in ("type", "tracking") if name in fields})


class Store:
    """Jobs, transcripts and audio under one folder.

    All methods block, and must be called from one thread at a time.

    Args:
        data_dir: The folder for all of it; created, for this user only, if it doesn't exist.

    Raises:
        StoreUnusable: If another server uses the folder, or the database is damaged or too new.
    """

    def __init__(self, data_dir: Path) -> None:
        self._files = AudioFiles(data_dir)
        self._database = Connection(data_dir)
        try:
            needed = {job.id for job in self.unfinished()} | {webhook.job_id for webhook in self.pending_webhooks()}
            self._files.remove_all_but(needed)
            self._database.forget()
            self._last_creation: int = self._database.one("latest_creation")[0]
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the database and unlock the folder."""
        self._database.close()

    def upload_path(self) -> Path:
        """Return a new path for an upload that may still fail."""
        return self._files.upload()

    def audio_path(self, job_id: str) -> Path:
        """Return the path of a job's audio, which exists while the job runs."""
        return self._files.of(job_id)

    def add(
        self,
        *,
        owner: str,
        reference: str | None,
        data_name: str,
        config: bytes,
        upload: Path | None,
        log: str,
        most_unfinished: int | None = None,
    ) -> tuple[Job, bool]:
        """Accept a job: once this returns, it survives any crash.

        Args:
            owner: Whose key submits it.
            reference: The client's own identifier; if a job with the same one exists, that job is returned.
            data_name: File name of the audio.
            config: The ``JobConfig`` as received, JSON.
            upload: The audio, already flushed to disk, and moved on success; ``None`` if it is fetched later.
            log: First lines of the job's log.
            most_unfinished: How many unfinished jobs the owner may have, including this one.

        Returns:
            The job, and whether it is new.

        Raises:
            TooManyUnfinished: If the owner would have more than that.
        """
        audio: Path | None = None
        try:
            with self._database.transaction():
                row = self._live_row(owner, reference)
                if row is not None:
                    return _job(row), False
                self._check_room(owner, most_unfinished)
                self._last_creation = creation_time(now_micros(), self._last_creation)
                job = Job(
                    id=new_id(),
                    owner=owner,
                    created=self._last_creation,
                    data_name=data_name,
                    config=config,
                    status="running",
                )
                if upload is not None:
                    audio = self._files.accept(upload, job.id)
                self._database.run("insert_job", {**_columns(job), "reference": reference, "log": log})
        except BaseException:
            if audio is not None:
                audio.unlink(missing_ok=True)
            raise
        return job, True

    def _check_room(self, owner: str, most_unfinished: int | None) -> None:
        if most_unfinished is not None and self.count_unfinished(owner) >= most_unfinished:
            raise TooManyUnfinished(f"there are {most_unfinished} unfinished jobs already")

    def _live_row(self, owner: str, reference: str | None) -> Any:  # noqa: ANN401 - a row
        if reference is None:
            return None
        return self._database.one("job_by_reference", {"owner": owner, "reference": reference})

    def get(self, job_id: str) -> Job | None:
        """Find a job by its id."""
        row = self._database.one("job_by_id", {"id": job_id})
        return _job(row) if row is not None else None

    def page(self, owner: str, *, before: int | None, limit: int | None, with_deleted: bool) -> list[Job]:
        """List an owner's jobs, newest first.

        Args:
            owner: Whose jobs.
            before: Only jobs created before this time (microseconds since 1970).
            limit: The maximum number of jobs.
            with_deleted: Whether to include deleted and expired jobs.
        """
        rows = self._database.run(
            "list_jobs",
            {
                "owner": owner,
                "before": before,
                "limit": _NO_LIMIT if limit is None else limit,
                "with_deleted": with_deleted,
            },
        )
        return [_job(row) for row in rows]

    def unfinished(self) -> list[Job]:
        """List all unfinished jobs, oldest first."""
        return [_job(row) for row in self._database.run("unfinished_jobs")]

    def count_unfinished(self, owner: str) -> int:
        """Count an owner's unfinished jobs."""
        (count,) = self._database.one("count_unfinished", {"owner": owner})
        return int(count)

    def count_crash(self, job_id: str) -> int:
        """Count that a worker process died while it worked on a job, and return how often that has happened."""
        row = self._database.one("count_crash", {"id": job_id})
        return int(row[0]) if row is not None else 0

    def finish(
        self,
        job: Job,
        *,
        status: Status,
        transcript: bytes | None = None,
        duration: float | None = None,
        errors: tuple[JobError, ...] = (),
        language: str = "",
        operating_point: str = "",
        log: str = "",
        notifications: int = 0,
    ) -> bool:
        """End a running job, in one transaction with its transcript and its usage.

        Args:
            job: The job, as it was when it started.
            status: ``done`` or ``rejected``.
            transcript: The json-v2 transcript of a job that is done.
            duration: Seconds of audio.
            errors: What went wrong.
            language: For the usage.
            operating_point: For the usage.
            log: Lines to add to the job's log.
            notifications: Number of webhooks to call; the audio is kept until that is done.

        Returns:
            Whether the job was still running; if not, nothing was changed.
        """
        finished = now_micros()
        with self._database.transaction():
            changed = self._database.run(
                "finish_job",
                {
                    "id": job.id,
                    "status": status,
                    "duration": duration,
                    "errors": msgspec.json.encode(errors) if errors else None,
                    "finished": finished,
                },
            ).rowcount
            if not changed:
                return False
            self._database.run("append_log", {"id": job.id, "lines": log})
            for number in range(notifications):
                self._database.run("insert_webhook", {"job_id": job.id, "number": number})
            if transcript is not None:
                self._database.run("insert_transcript", {"job_id": job.id, "json_v2": transcript})
                self._database.run(
                    "insert_usage",
                    {
                        "job_id": job.id,
                        "owner": job.owner,
                        "day": _day(finished),
                        "language": language,
                        "operating_point": operating_point,
                        "duration": duration or 0.0,
                    },
                )
        if not notifications:
            self._files.remove(job.id)
        return True

    def pending_webhooks(self, job_id: str | None = None) -> list[PendingWebhook]:
        """List the webhooks that still have to be called, of one job or of all."""
        return [PendingWebhook(*row) for row in self._database.run("pending_webhooks", {"job_id": job_id})]

    def webhook_concluded(self, webhook: PendingWebhook, failed: JobError | None = None) -> None:
        """Remove a webhook that was called, or given up, and with the job's last one its audio.

        Args:
            failed: The error to add to the job if the webhook was given up.
        """
        with self._database.transaction():
            self._database.run("delete_webhook", webhook._asdict())
            job = self.get(webhook.job_id)
            if failed is not None and job is not None:
                errors = msgspec.json.encode((*job.errors, failed))
                self._database.run("set_errors", {"id": job.id, "errors": errors})
            (left,) = self._database.one("count_webhooks", {"job_id": webhook.job_id})
        if not left:
            self._files.remove(webhook.job_id)

    def retire(self, job_id: str, status: Status) -> bool:
        """Delete or expire a job: a row with its id, times, name and tracking stays; the rest is erased from the disk.

        Args:
            status: ``deleted`` or ``expired``.

        Returns:
            Whether the job was neither deleted nor expired before.
        """
        removed = self._retire(job_id, status)
        self._database.forget()
        return removed

    def _retire(self, job_id: str, status: Status) -> bool:
        job = self.get(job_id)
        if job is None:
            return False
        with self._database.transaction():
            changed = self._database.run(
                "retire_job",
                {"id": job_id, "status": status, "finished": now_micros(), "config": _remains(job.config)},
            ).rowcount
            self._database.run("delete_transcript", {"job_id": job_id})
        self._files.remove(job_id)
        return changed > 0

    def expire(self, before: int) -> list[str]:
        """Expire the jobs that finished before a time (microseconds since 1970); return their ids."""
        ids = [ident for (ident,) in self._database.run("jobs_to_expire", {"before": before})]
        expired = [ident for ident in ids if self._retire(ident, "expired")]
        if expired:
            self._database.forget()
        return expired

    def append_log(self, job_id: str, lines: str) -> None:
        """Add lines to a job's log."""
        self._database.run("append_log", {"id": job_id, "lines": lines})

    def log(self, job_id: str) -> str:
        """Return a job's log."""
        row = self._database.one("log_of_job", {"id": job_id})
        return str(row[0]) if row is not None else ""

    def transcript(self, job_id: str) -> bytes | None:
        """Return a job's json-v2 transcript, if it has one."""
        row = self._database.one("transcript_of_job", {"job_id": job_id})
        return bytes(row[0]) if row is not None else None

    def usage(self, owner: str, since: str, until: str) -> list[tuple[str, str, int, float]]:
        """Sum up an owner's usage.

        Args:
            owner: Whose usage.
            since: First day, ``YYYY-MM-DD``.
            until: Last day, inclusive.

        Returns:
            Rows of language, operating point, number of jobs, seconds of audio.
        """
        return list(self._database.run("usage_between", {"owner": owner, "since": since, "until": until}))

    def first_usage_day(self, owner: str) -> str | None:
        """Return the first day of an owner's usage."""
        (day,) = self._database.one("first_usage_day", {"owner": owner})
        return day if day is None else str(day)


def _day(micros: int) -> str:
    return timestamp(micros)[:10]
