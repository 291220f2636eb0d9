"""What a server can be told before it starts."""

from pathlib import Path
from typing import Final

import msgspec

GIGABYTE: Final = 1_000_000_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on what one server takes on. ``None`` means: no bound.

    Attributes:
        upload_bytes: Largest audio file of a job, in bytes; beyond it a job is refused with 413.
        audio_seconds: Longest recording; a longer one is rejected. A few kilobytes can decode to days of silence.
        config_bytes: Largest ``config`` part of a job, in bytes.
        posts_per_second: Job submissions that one key may make per second; beyond it 429.
        gets_per_second: Other requests that one key may make per second; beyond it 429.
        concurrent_jobs: Unfinished jobs that one key may have at once; beyond it 429.
        wait_seconds: What a client's ``wait`` is capped to, in seconds.
        default_wait_seconds: How long ``GET /jobs/{jobid}`` and its transcript wait for a job that runs, when the
            client says nothing about it; the API documents two seconds "currently".
        stall_seconds: How long the next piece of an upload may take to come.
    """

    upload_bytes: int = 4 * GIGABYTE
    audio_seconds: float = 24 * 3600.0
    config_bytes: int = 1_000_000
    posts_per_second: float | None = None
    gets_per_second: float | None = None
    concurrent_jobs: int | None = None
    wait_seconds: float = 60.0
    default_wait_seconds: float = 2.0
    stall_seconds: float = 120.0


# https://docs.speechmatics.com/speech-to-text/batch/limits: the published limits of the cloud.
CLOUD_LIMITS: Final = Limits(upload_bytes=GIGABYTE, posts_per_second=10.0, gets_per_second=50.0, concurrent_jobs=20_000)


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a server needs to know at its start.

    Attributes:
        data_dir: Folder for the server's database, audio and bookkeeping; made if it isn't there.
        host: Address to listen on.
        port: TCP port to listen on; 0 takes any free one.
        tls: Files with the certificate (and its chain) and its private key, PEM, to serve https; ``None`` serves http.
        key: The Bearer key that clients must send. ``None`` accepts any key, which is only allowed when
            ``host`` is a loopback address.
        model: ``tiny.en`` (packaged weights), any other faster-whisper model name, or a folder with a model.
        threads: Cores that one worker may use; 0 means all.
        workers: Worker processes, each of which recognises one job at a time.
        idle_release: Seconds without work after which a worker process, and with it the model, is let go.
        retention: Seconds after which a finished job expires; the cloud keeps jobs for seven days.
        limits: Bounds on uploads and on the rate of requests.
        cluster: Address of a Dask scheduler whose workers recognise, ``tcp://host:port``; they must see
            ``data_dir`` under the same path. ``None`` recognises on this machine.
        fetching: Whether the server may fetch audio from addresses that clients name (``fetch_data``).
        notifying: Whether it may call addresses that clients name when a job has ended.
        allowed_hosts: Hosts (``name`` or ``name:port``) that it may call although their address isn't public.
        exit_with_parent: Whether to stop once standard input is closed.
        preload: Whether to load the model at the start, for whoever starts the server because a job is at hand.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    tls: tuple[Path, Path] | None = None
    key: str | None = None
    model: str = "tiny.en"
    threads: int = 0
    workers: int = 1
    idle_release: float = 60.0
    retention: float = 7 * 86_400.0
    limits: Limits = Limits()
    cluster: str | None = None
    fetching: bool = False
    notifying: bool = False
    allowed_hosts: tuple[str, ...] = ()
    exit_with_parent: bool = False
    preload: bool = False
