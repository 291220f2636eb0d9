"""Files that mean harm, or are nothing at all: the child process takes the blow, and only so much of it."""

import asyncio
import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.media.conftest import make
from tests.support.waiting import has_ended, reached, until
from watcher.errors import (
    BrokenMedia,
    InternalError,
    NotARecording,
    NotWritable,
    ReadTimeout,
    RecordingError,
    Unreadable,
)
from watcher.media import Prober, prepare, worker
from watcher.media.child import Child

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]


@pytest.fixture
def wav(tmp_path):
    return make(tmp_path / "good.wav", "wav", "pcm_s16le")


@pytest.mark.parametrize(
    ("name", "content", "kind", "says"),
    [
        ("empty.wav", b"", BrokenMedia, "empty"),
        ("text.wav", b"Dear diary, " * 500, NotARecording, "no audio or video"),
        ("zeros.mp3", bytes(50_000), NotARecording, "no audio or video"),
        ("header.wav", b"RIFF\x24\0\0\0WAVEfmt ", BrokenMedia, "cut short"),
        ("page.wav", b"<!DOCTYPE html><html><body>404</body></html>" * 50, NotARecording, "no audio or video"),
        ("picture.wav", b"\x89PNG\r\n\x1a\n" + bytes(2000), NotARecording, "no audio or video"),
    ],
)
async def test_what_is_no_recording_is_explained(name, content, kind, says, *, prober, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(kind, match=says) as caught:
        await prober.probe(tmp_path / name)
    assert str(tmp_path / name) in caught.value.message
    assert caught.value.fix


async def test_a_playlist_is_refused_whatever_it_points_at(prober, wav, tmp_path):
    texts = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{wav}\n#EXT-X-ENDLIST\n",
        "url": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {wav}\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
        "subtitles": "1\n00:00:01,000 --> 00:00:02,000\nHello\n",
    }
    for name, text in texts.items():
        for suffix in (".wav", ".m3u8", ".mp4"):
            path = tmp_path / (name + suffix)
            path.write_text(text)
            with pytest.raises(NotARecording):
                await prober.probe(path)
            with pytest.raises(NotARecording):
                await prepare(path, tmp_path / "out.flac")
    assert not (tmp_path / "out.flac").exists()


async def test_what_is_no_file_is_refused_at_once(prober, wav, tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to(wav)
    for name in ("folder.wav", "pipe.wav", "link.wav", "missing.wav"):
        with pytest.raises(Unreadable, match=name):
            await prober.probe(tmp_path / name)


async def test_names_that_are_no_text(prober, wav, tmp_path):
    path = wav.rename(tmp_path / os.fsdecode(b"\xff\xfe\n" + b"x" * 240 + b".wav"))
    assert (await prober.probe(path)).duration == pytest.approx(1.0)
    assert (await prepare(path, tmp_path / "out.flac")).duration == pytest.approx(1.0)


@pytest.mark.long
async def test_a_thousand_damaged_files_do_no_harm(tmp_path):
    random.seed(7)
    kinds = [
        ("wav", "wav", "pcm_s16le", 16000),
        ("mp4", "mp4", "aac", 16000),
        ("mkv", "matroska", "aac", 16000),
        ("mp3", "mp3", "libmp3lame", 16000),
        ("ogg", "ogg", "libopus", 48000),
        ("avi", "avi", "libmp3lame", 16000),
        ("wma", "asf", "wmav2", 16000),
        ("flac", "flac", "flac", 16000),
        ("ts", "mpegts", "mp2", 48000),
        ("caf", "caf", "pcm_s16le", 16000),
    ]
    whole = [make(tmp_path / f"whole.{s}", c, k, rate=r, seconds=0.3).read_bytes() for s, c, k, r in kinds]
    paths = []
    for number in range(2000):
        index = number % len(kinds)
        data = bytearray(whole[index])
        if number % 3:
            for _ in range(random.choice([1, 4, 30, 300])):
                data[random.randrange(min(len(data), random.choice([64, 1000, 10**6])))] = random.randrange(256)
        if number % 2:
            del data[random.randrange(len(data)) :]
        paths.append(tmp_path / f"{number}.{kinds[index][0]}")
        paths[-1].write_bytes(data)
    outcomes = {}
    async with Prober(limit=10.0) as prober:

        async def look(path):
            try:
                await prober.probe(path)
            except RecordingError as error:
                return type(error).__name__ if str(path) in error.message else "no name"
            return "ok"

        for result in await asyncio.gather(*map(look, paths)):
            outcomes[result] = outcomes.get(result, 0) + 1
    assert sum(outcomes.values()) == 2000
    assert set(outcomes) <= {"ok", "BrokenMedia", "NotARecording"}
    assert outcomes["ok"] > 100
    assert outcomes["BrokenMedia"] > 100


async def test_a_header_that_asks_for_everything_gets_nothing(prober, tmp_path):
    path = tmp_path / "a.wav"
    fmt = b"\x01\x00\xff\xff\xff\xff\xff\x7f\xff\xff\xff\x7f\xff\xff\x20\x00"
    path.write_bytes(b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0" + fmt + b"data\xff\xff\xff\x7f" + bytes(100_000))
    with pytest.raises((BrokenMedia, NotARecording)):
        await prober.probe(path)


async def test_a_child_that_hangs_is_killed_and_replaced(wav):
    async with Prober(limit=0.5, workers=1) as prober:
        await prober.probe(wav)
        [child] = prober._free
        os.kill(child._process.pid, signal.SIGSTOP)
        with pytest.raises(ReadTimeout, match=r"longer than 0\.5 s"):
            await prober.probe(wav)
        assert not psutil.pid_exists(child._process.pid)
        assert (await prober.probe(wav)).codec == "pcm_s16le"


async def test_a_child_that_died_is_replaced_without_a_word(wav):
    async with Prober(workers=1) as prober:
        await prober.probe(wav)
        os.kill(prober._free[0]._process.pid, signal.SIGKILL)
        assert (await prober.probe(wav)).codec == "pcm_s16le"


async def test_the_children_are_let_go_when_idle(wav):
    async with Prober(idle=0.1) as prober:
        await asyncio.gather(*(prober.probe(wav) for _ in range(8)))
        assert prober.children <= 2
        pids = [child._process.pid for child in prober._free]
        await reached(lambda: not prober.children and all(map(has_ended, pids)))
        assert (await prober.probe(wav)).channels == 1


async def test_the_child_has_limits_and_knows_nothing_of_us(wav):
    async with Prober(memory=1 << 30, workers=1) as prober:
        await prober.probe(wav)
        process = psutil.Process(prober._free[0]._process.pid)
        if sys.platform == "linux":
            assert process.rlimit(psutil.RLIMIT_AS)[0] == 1 << 30
            assert process.rlimit(psutil.RLIMIT_CORE)[0] == 0
            assert 0 < process.rlimit(psutil.RLIMIT_CPU)[0] < 120
        assert process.memory_info().rss < 120 << 20


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_the_child_ends_with_its_parent_however_that_ends(wav):
    script = (
        "import asyncio, pathlib, sys\n"
        "from watcher.media import Prober\n"
        "async def main():\n"
        "    prober = Prober()\n"
        "    await prober.probe(pathlib.Path(sys.argv[1]))\n"
        "    print(prober._free[0]._process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(wav)], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
    until(lambda: has_ended(pid))


async def test_a_cancelled_preparation_leaves_nothing(tmp_path):
    path = make(tmp_path / "long.wav", "wav", "pcm_s16le", seconds=600)
    (tmp_path / "out").mkdir()
    task = asyncio.create_task(prepare(path, tmp_path / "out/long.flac"))
    await reached(lambda: list((tmp_path / "out").iterdir()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list((tmp_path / "out").iterdir()) == []


async def test_where_nothing_can_be_written_is_told(wav, tmp_path):
    with pytest.raises(NotWritable, match=r"nowhere/out\.flac"):
        await prepare(wav, tmp_path / "nowhere/out.flac")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told_from_a_damaged_file(wav):
    told = []
    with pytest.raises(OSError, match="No space left") as caught:
        worker.prepare(str(wav), "/dev/full", "mono", 16000, told.append)
    assert caught.value.errno == errno.ENOSPC


async def test_a_child_that_can_not_start_is_an_error_not_a_hang(wav, tmp_path):
    async with Prober(script=tmp_path / "missing.py") as prober:
        with pytest.raises(InternalError, match="does not start"):
            await prober.probe(wav)
        assert prober.children == 0
    with pytest.raises(InternalError, match="does not start"):
        await prepare(wav, tmp_path / "out.flac", script=tmp_path / "missing.py")


async def test_a_child_answers_in_order(wav):
    child = await Child.start(memory=1 << 30)
    try:
        for _ in range(5):
            answer = await child.ask({"do": "probe", "path": str(wav), "cpu": 5}, seconds=5)
            assert answer["ok"]["channels"] == 1
    finally:
        await child.kill()
