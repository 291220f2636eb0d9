"""The settings of a server: each one's type, default, limits and description, in this one place.

``options`` makes command lines of them, and a test compares the table in docs/local-server.md with them.
"""

from pathlib import Path
from typing import Annotated, Final

import msgspec

GIGABYTE: Final = 1_000_000_000

_LISTENING: Final = "Listening"
_RECOGNITION: Final = "Recognition"
_JOBS: Final = "Jobs and limits"
_OUTBOUND: Final = "Calls to other servers"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Describes a setting for people.

    Attributes:
        group: The heading under which ``--help`` shows it.
        help: What it does.
        option: The option's name if it isn't the field's, ``max_upload`` for ``--max-upload``.
        metavar: Placeholder for its value in ``--help``.
        choices: The possible values, if there are few.
        least: The smallest possible number.
        most: The largest possible number.
        for_parents: Whether it is only useful for a program that starts the server as its child.
    """

    group: str
    help: str
    option: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    for_parents: bool = False


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on what one server accepts; ``None`` means no limit. Fields without a ``Setting`` are not options.

    Attributes:
        config_bytes: Largest ``config`` part of a job, in bytes.
        posts_per_second: Job submissions that one key may make per second; beyond it 429.
        gets_per_second: Other requests that one key may make per second; beyond it 429.
        wait_seconds: Upper limit of a request's ``wait``, in seconds.
        default_wait_seconds: How long ``GET /jobs/{jobid}`` and its transcript wait for a running job if the request
            has no ``wait``; the API documents two seconds "currently".
        stall_seconds: How long an upload may stand still.
    """

    upload_bytes: Annotated[
        int,
        Setting(
            group=_JOBS,
            option="max_upload",
            metavar="BYTES",
            least=1,
            help="Largest recording, in bytes (default 4 GB, with --limits cloud 1 GB); a larger one is refused.",
        ),
    ] = 4 * GIGABYTE
    # A few kilobytes can decode to days of silence.
    audio_seconds: Annotated[
        float,
        Setting(
            group=_JOBS,
            option="max_seconds",
            metavar="S",
            least=0,
            help="Longest recording, in seconds (default 24 hours); a longer one is rejected.",
        ),
    ] = 24 * 3600.0
    concurrent_jobs: Annotated[
        int | None,
        Setting(
            group=_JOBS,
            option="max_unfinished",
            metavar="N",
            least=1,
            help="Unfinished jobs that one key may have at once (default: no limit).",
        ),
    ] = None
    config_bytes: int = 1_000_000
    posts_per_second: float | None = None
    gets_per_second: float | None = None
    wait_seconds: float = 60.0
    default_wait_seconds: float = 2.0
    stall_seconds: float = 120.0


# https://docs.speechmatics.com/speech-to-text/batch/limits: the published limits of the cloud.
CLOUD_LIMITS: Final = Limits(upload_bytes=GIGABYTE, posts_per_second=10.0, gets_per_second=50.0, concurrent_jobs=20_000)
PRESETS: Final = {"none": Limits(), "cloud": CLOUD_LIMITS}
"""What ``--limits`` chooses from."""


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a server needs to know when it starts.

    Attributes:
        key: The Bearer key that clients must send. ``None`` accepts any key, which is only allowed if ``host`` is a
            loopback address. Not an option: every user of the machine can read a command line.
    """

    key: str | None = None
    host: Annotated[
        str,
        Setting(
            group=_LISTENING,
            metavar="H",
            help="Address to listen on; 0.0.0.0 or :: accepts connections from other machines.",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Setting(group=_LISTENING, metavar="P", least=0, most=65535, help="Port to listen on; 0 takes any free port."),
    ] = 0
    tls_cert: Annotated[
        Path | None,
        Setting(group=_LISTENING, metavar="FILE", help="Serve https with this certificate (PEM, including its chain)."),
    ] = None
    tls_key: Annotated[
        Path | None, Setting(group=_LISTENING, metavar="FILE", help="Private key of the certificate (PEM).")
    ] = None
    exit_with_parent: Annotated[
        bool, Setting(group=_LISTENING, for_parents=True, help="Stop when standard input is closed.")
    ] = False
    model: Annotated[
        str,
        Setting(
            group=_RECOGNITION,
            metavar="M",
            help="tiny.en (packaged; English only), another faster-whisper model (base, small, large-v3, …; downloaded "
            "once), or a folder with a model.",
        ),
    ] = "tiny.en"
    threads: Annotated[
        int, Setting(group=_RECOGNITION, metavar="N", least=0, help="Cores per worker process; 0 uses all.")
    ] = 0
    workers: Annotated[
        int, Setting(group=_RECOGNITION, metavar="N", least=1, help="Number of recordings to recognise at a time.")
    ] = 1
    cluster: Annotated[
        str | None,
        Setting(
            group=_RECOGNITION,
            metavar="tcp://HOST:PORT",
            help="Recognise on the workers of this Dask scheduler; they need --data-dir under the same path.",
        ),
    ] = None
    idle_release: Annotated[
        float,
        Setting(
            group=_RECOGNITION,
            metavar="S",
            least=0,
            help="Seconds without work after which the model is removed from memory.",
        ),
    ] = 60
    preload: Annotated[
        bool, Setting(group=_RECOGNITION, help="Load the model when the server starts, not with the first job.")
    ] = False
    data_dir: Annotated[
        Path,
        Setting(
            group=_JOBS,
            metavar="DIR",
            help="Folder for jobs, audio and transcripts; the next start continues with them.",
        ),
    ]
    retention: Annotated[
        float,
        Setting(
            group=_JOBS,
            metavar="S",
            least=0,
            help="Seconds after which a finished job expires and its transcript is removed (604800 = 7 days).",
        ),
    ] = 7 * 86_400
    limits: Annotated[
        Limits,
        Setting(
            group=_JOBS,
            choices=tuple(PRESETS),
            help="cloud: respond with 429 and 413 where the cloud would (10 POST/s, 50 GET/s, 20,000 unfinished jobs, "
            "1 GB).",
        ),
    ] = PRESETS["none"]
    allow_fetch: Annotated[
        bool, Setting(group=_OUTBOUND, help="Honour fetch_data: fetch audio from public addresses.")
    ] = False
    allow_notify: Annotated[
        bool, Setting(group=_OUTBOUND, help="Honour notification_config: call webhooks at public addresses.")
    ] = False
    allow_host: Annotated[
        tuple[str, ...],
        Setting(
            group=_OUTBOUND,
            metavar="HOST[:PORT]",
            help="Host that may be called although its address isn't public; may be repeated.",
        ),
    ] = ()

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """The certificate and its private key; ``None`` to serve http."""
        return None if self.tls_cert is None or self.tls_key is None else (self.tls_cert, self.tls_key)
