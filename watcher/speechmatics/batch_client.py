"""`BatchClient`: the same for programs without an event loop, with the names of Speechmatics' own sync client.

It holds no logic of the API: each call runs the `AsyncClient`'s on one event loop in a thread of its own.
"""

import json
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from watcher.speechmatics.auth import JWTAuth, StaticKeyAuth
from watcher.speechmatics.client import DEFAULT_TIMEOUT, AsyncClient
from watcher.speechmatics.endpoints import job_path
from watcher.speechmatics.errors import ConfigurationError, SpeechmaticsError
from watcher.speechmatics.job_config import FormatType, JobConfig, TranscriptionConfig
from watcher.speechmatics.regions import default_url
from watcher.speechmatics.source import AudioSource
from watcher.speechmatics.waiting import raise_if_failed

__all__ = ["BatchClient", "ConnectionSettings"]

Returned = TypeVar("Returned")
AnyConfig = JobConfig | TranscriptionConfig | Mapping[str, Any] | str | PathLike[str]

MOST_AT_ONCE = 50
_FORMATS = {"json-v2": "json-v2", "json_v2": "json-v2", "json": "json-v2", "txt": "txt", "srt": "srt"}


@dataclass
class ConnectionSettings:
    """How a `BatchClient` reaches the service.

    Attributes:
        url: The service's base URL; by default ``SPEECHMATICS_BATCH_URL``, else the EU1 region's.
        auth_token: The API key; by default ``SPEECHMATICS_API_KEY``.
        ssl_context: TLS settings other than the default ones.
        generate_temp_token: Whether to ask with temporary keys, made with `auth_token`, instead of itself.
        mp_url: The management platform that makes temporary keys.
        region: The region that they are for.
        client_ref: The user that they are for.
    """

    url: str = field(default_factory=default_url)
    auth_token: str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    generate_temp_token: bool = False
    mp_url: str | None = None
    region: str = "eu"
    client_ref: str | None = None

    def new_client(self) -> AsyncClient:
        """An `AsyncClient` with these settings.

        Raises:
            ConfigurationError: They are not usable.
        """
        auth: JWTAuth | StaticKeyAuth
        if self.generate_temp_token:
            auth = JWTAuth(self.auth_token, region=self.region, client_ref=self.client_ref, mp_url=self.mp_url)
        else:
            auth = StaticKeyAuth(self.auth_token)
        return AsyncClient(url=self.url, auth=auth, ssl_context=self.ssl_context)


class BatchClient:
    """A synchronous client of the Batch API.

    Use it as a context manager, or call `connect` and `close`. It may be shared by threads.

    Args:
        settings: How to reach the service; a string is an API key, None takes all from the environment.

    Raises:
        ConfigurationError: There is no usable key or URL.
    """

    def __init__(self, settings: ConnectionSettings | str | None = None) -> None:
        if not isinstance(settings, ConnectionSettings):
            settings = ConnectionSettings(auth_token=settings)
        self._client = settings.new_client()
        self._stack = ExitStack()
        self._running: BlockingPortal | None = None

    def __repr__(self) -> str:
        """Name the service, not the key."""
        return f"BatchClient(url={self._client.url!r})"

    def __enter__(self) -> Self:
        """Connect."""
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def connect(self) -> Self:
        """Start the thread that does the work; connections are opened when they are first needed."""
        if self._running is None:
            self._running = self._stack.enter_context(start_blocking_portal())
        return self

    def close(self) -> None:
        """Close all connections and end the thread."""
        if self._running is not None:
            try:
                self._running.call(self._client.close)
            finally:
                self._running = None
                self._stack.close()

    def submit_job(self, audio: AudioSource | None, transcription_config: AnyConfig) -> str:
        """Create a job; see `AsyncClient.submit_job` for what its errors say.

        Args:
            audio: The recording: a path, an open binary file, bytes, or (name, bytes); None with ``fetch_data``.
            transcription_config: The whole job config, as a mapping, a `JobConfig`, or the path of a JSON file; or
                a `TranscriptionConfig`.

        Returns:
            The job's id.

        Raises:
            SpeechmaticsError: No job was created, or it is not known (`SubmissionUnknown`).
        """
        config = _as_config(transcription_config)
        return self._call(lambda: self._client.submit_job(audio, config=config)).id

    def submit_jobs(
        self,
        audio_paths: Iterable[str | PathLike[str]],
        transcription_config: AnyConfig,
        concurrency: int = 5,
    ) -> Iterator[tuple[str | PathLike[str], str]]:
        """Create a job for each recording, several at once, and wait until each has ended.

        Args:
            audio_paths: The recordings.
            transcription_config: As for `submit_job`.
            concurrency: How many jobs may be on their way at once, 1 to 50.

        Yields:
            (path, job id), in the order in which the jobs end, well or not.

        Raises:
            ConfigurationError: `concurrency` is out of range.
            ExceptionGroup: After all others were yielded: the errors of those that weren't, each with a note that
                names the recording.
        """
        if not 1 <= concurrency <= MOST_AT_ONCE:
            raise ConfigurationError(f"concurrency must be 1 to {MOST_AT_ONCE}, not {concurrency}.")
        config = _as_config(transcription_config)

        async def see_through(path: str | PathLike[str]) -> str:
            job = await self._client.submit_job(path, config=config)
            await self._client.wait_for_job(job.id)
            return job.id

        failures: list[SpeechmaticsError] = []
        yield from self._run_all(see_through, audio_paths, concurrency, failures)
        if failures:
            raise ExceptionGroup("Some recordings were not transcribed", failures)

    def _run_all(
        self,
        work: Callable[[str | PathLike[str]], Awaitable[str]],
        paths: Iterable[str | PathLike[str]],
        most: int,
        failures: list[SpeechmaticsError],
    ) -> Iterator[tuple[str | PathLike[str], str]]:
        left = iter(paths)
        running: dict[Future[str], str | PathLike[str]] = {}
        try:
            while True:
                for path in islice(left, most - len(running)):
                    running[self._portal().start_task_soon(work, path)] = path
                if not running:
                    return
                for ended in wait(running, return_when=FIRST_COMPLETED).done:
                    path = running.pop(ended)
                    try:
                        yield path, ended.result()
                    except SpeechmaticsError as error:
                        error.add_note(f"The recording was {path}.")
                        failures.append(error)
        finally:
            for task in running:
                task.cancel()

    def list_jobs(self) -> list[dict[str, Any]]:
        """The most recent jobs, newest first, as the service describes them.

        Raises:
            SpeechmaticsError: The service can't be asked.
        """
        found: list[dict[str, Any]] = self._call(lambda: self._client.get_json("/jobs"))["jobs"]
        return found

    def check_job_status(self, job_id: str) -> dict[str, Any]:
        """What the service says about a job, as ``{"job": {"status": …}}``.

        Raises:
            NotFound: There is no such job.
            SpeechmaticsError: The service can't be asked.
        """
        return self._call(lambda: self._client.get_json(job_path(job_id), {"wait": "0"}))

    def get_job_result(self, job_id: str, transcription_format: str = "json-v2") -> dict[str, Any] | str:
        """A job's transcript.

        Args:
            job_id: The job's id.
            transcription_format: ``"json-v2"`` (also ``"json"``), ``"txt"`` or ``"srt"``.

        Returns:
            The decoded JSON, or the text.

        Raises:
            ConfigurationError: There is no such format.
            NotFound: There is no such job, or no transcript yet.
            SpeechmaticsError: The service can't be asked.
        """
        kind = _format(transcription_format)
        content = self._call(lambda: self._client.get_transcript(job_id, kind))
        if kind == FormatType.JSON:
            decoded: dict[str, Any] = json.loads(content)
            return decoded
        return content.decode("utf-8", errors="replace")

    def delete_job(self, job_id: str, force: bool = False) -> str:  # noqa: FBT001, FBT002 - the API's own
        """Delete a job, its recording and its transcript.

        Args:
            job_id: The job's id.
            force: Whether to stop it if it is still running.

        Returns:
            A sentence that says so.

        Raises:
            Locked: It is running, and `force` was not given.
            SpeechmaticsError: It can't be deleted.
        """
        self._call(lambda: self._client.delete_job(job_id, force))
        return f"Job {job_id} deleted"

    def wait_for_completion(
        self, job_id: str, transcription_format: str = "txt", *, timeout: float | None = DEFAULT_TIMEOUT
    ) -> dict[str, Any] | str:
        """Wait until a job has ended, and give its transcript.

        Args:
            job_id: The job's id.
            transcription_format: As for `get_job_result`.
            timeout: Seconds to wait; None waits for ever.

        Raises:
            JobFailed: The job ended without a transcript.
            JobTimeout: It is still running.
            SpeechmaticsError: The service can't be asked.
        """
        kind = _format(transcription_format)
        raise_if_failed(self._call(lambda: self._client.wait_for_job(job_id, timeout=timeout)))
        return self.get_job_result(job_id, kind)

    def _call(self, method: Callable[[], Awaitable[Returned]]) -> Returned:
        return self._portal().call(method)

    def _portal(self) -> BlockingPortal:
        if self._running is None:
            raise ConfigurationError("The client is not connected: use it in a with statement, or call connect().")
        return self._running


def _format(name: str) -> str:
    try:
        return _FORMATS[name.lower()]
    except KeyError:
        raise ConfigurationError(f"There is no transcript format {name!r}: json-v2, txt and srt are.") from None


def _as_config(given: AnyConfig) -> JobConfig:
    if isinstance(given, JobConfig):
        return given
    if isinstance(given, TranscriptionConfig):
        return JobConfig(transcription_config=given)
    if isinstance(given, (str, PathLike)):
        try:
            given = json.loads(Path(given).expanduser().read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigurationError(f"The job config {given} can't be read: {error.strerror}.") from error
        except ValueError as error:
            raise ConfigurationError(f"The job config {given} is not valid JSON: {error}") from error
    if not isinstance(given, Mapping):
        raise ConfigurationError("A job config must be a JSON object.")
    return JobConfig.from_dict(given)
