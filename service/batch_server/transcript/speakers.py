"""Which speaker said which word: words and turns are laid over each other by time. Pure.

Words come from one model and turns from another, and neither is exact to more than some tenths of a second, so a
change of speaker that falls just beside the end of a sentence is taken to be at it.
"""

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from service.batch_server.recognition.messages import SpeakerTurn
from service.batch_server.transcript.items import Item

UNKNOWN: Final = "UU"
_REACH: Final = 1.0  # seconds between a word and the nearest turn, beyond which nobody is known to speak
_SLIP: Final = 2  # words by which a change may be beside a sentence's end
_INTERJECTION: Final = 1.2  # seconds that somebody must speak to interrupt a sentence, if changes are not preferred


def labelled(found: Sequence[Item], turns: Iterable[SpeakerTurn], *, prefer_current: bool = False) -> list[Item]:
    """Give words their speakers: ``S1``, ``S2``, … in the order in which they appear, ``UU`` where unknown.

    Marks belong to the word that they cling to.

    Args:
        found: Words and marks in order of time.
        turns: Who speaks when, in any order.
        prefer_current: Whether short changes of speaker within a sentence count as none.
    """
    words = [item for item in found if item.kind == "word"]
    ends = _sentence_ends(found)
    speakers = _by_overlap(words, sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker)))
    speakers = _at_sentence_ends(words, speakers, ends)
    if prefer_current:
        speakers = _without_interjections(words, speakers, ends)
    names: dict[str, str] = {}
    for speaker in speakers:
        if speaker is not None:
            names.setdefault(speaker, f"S{len(names) + 1}")
    labels = [UNKNOWN if speaker is None else names[speaker] for speaker in speakers]
    return [
        msgspec.structs.replace(item, speaker=labels[owner] if labels else UNKNOWN)
        for item, owner in zip(found, _owners(found), strict=True)
    ]


def _owners(found: Sequence[Item]) -> list[int]:
    """For every item the number of its word: a mark has the word that it attaches to, or else the one before."""
    total = sum(item.kind == "word" for item in found)
    owners: list[int] = []
    seen = 0
    for item in found:
        if item.kind == "word":
            owners.append(seen)
            seen += 1
        elif item.attaches_to == "next":
            owners.append(min(seen, total - 1))
        else:
            owners.append(max(seen - 1, 0))
    return owners


def _sentence_ends(found: Sequence[Item]) -> set[int]:
    """Numbers of the words after which a sentence is over."""
    return {owner for item, owner in zip(found, _owners(found), strict=True) if item.is_eos}


def _by_overlap(words: Sequence[Item], turns: Sequence[SpeakerTurn]) -> list[str | None]:
    """For every word whoever speaks for most of it, or else whoever speaks next to it."""
    # FairQueue hardly overlap, but nothing forbids it: a long one reaches over those that begin after it.
    longest = max((turn.end - turn.start for turn in turns), default=0.0)
    starts = [turn.start for turn in turns]
    speakers: list[str | None] = []
    for word in words:
        first = bisect_left(starts, word.start - longest - _REACH)
        last = bisect_left(starts, word.end + _REACH)
        shares: dict[str, float] = {}
        nearest: tuple[float, str] | None = None
        for turn in turns[first:last]:
            overlap = min(word.end, turn.end) - max(word.start, turn.start)
            if overlap > 0:
                shares[turn.speaker] = shares.get(turn.speaker, 0.0) + overlap
            elif -overlap <= _REACH and (nearest is None or -overlap < nearest[0]):
                nearest = (-overlap, turn.speaker)
        if shares:
            speakers.append(max(shares, key=lambda speaker: shares[speaker]))
        else:
            speakers.append(nearest[1] if nearest is not None else None)
    return speakers


def _at_sentence_ends(words: Sequence[Item], speakers: Sequence[str | None], ends: set[int]) -> list[str | None]:
    """Move changes of speaker to the end of a sentence that is a word or two away.

    A person who speaks only so shortly keeps the words: nothing is moved over a whole run.
    """
    moved = list(speakers)
    changes = [n for n in range(1, len(words)) if speakers[n - 1] != speakers[n]]
    begun = 0
    for change, after in itertools.pairwise([*changes, len(words)]):
        # Words are counted, not seconds: the last word before a pause is often given a part of the pause.
        beside = range(max(begun + 1, change - _SLIP), min(after, change + _SLIP + 1))
        start = min((n for n in beside if n - 1 in ends), key=lambda n: abs(n - change), default=change)
        moved[start:after] = [speakers[change]] * (after - start)
        moved[change:start] = [speakers[change - 1]] * (start - change)
        begun = start
    return moved


def _without_interjections(words: Sequence[Item], speakers: Sequence[str | None], ends: set[int]) -> list[str | None]:
    """Let whoever speaks go on where another is heard only shortly, in the middle of a sentence."""
    kept: list[str | None] = []
    runs = [
        (speaker, list(group)) for speaker, group in itertools.groupby(range(len(words)), key=lambda n: speakers[n])
    ]
    for speaker, run in runs:
        within = bool(kept) and run[0] - 1 not in ends
        short = _spoken([words[n] for n in run]) < _INTERJECTION
        kept += [kept[-1] if within and short else speaker] * len(run)
    return kept


def _spoken(words: Sequence[Item]) -> float:
    """Seconds from the beginning of the first word to the end of the last."""
    return words[-1].end - words[0].start if words else 0.0
