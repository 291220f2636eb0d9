"""Assigns words to speakers, by comparing the times of words and speaker turns. Pure.

Words come from one model and turns from another, and both are only exact to a few tenths of a second. So a change of
speaker close to the end of a sentence is moved there.
"""

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from service.batch_server.recognition.messages import SpeakerTurn
from service.batch_server.transcript.items import Item

UNKNOWN: Final = "UU"
_REACH: Final = 1.0  # seconds to the nearest turn, beyond which the speaker is unknown
_SLIP: Final = 2  # words between a change and the end of a sentence, up to which the change is moved
_INTERJECTION: Final = 1.2  # seconds that an interruption must last, with prefer_current


def labelled(found: Sequence[Item], turns: Iterable[SpeakerTurn], *, prefer_current: bool = False) -> list[Item]:
    """Label words with their speakers: ``S1``, ``S2``, … in order of appearance, ``UU`` if unknown.

    Marks get the label of the word that they attach to.

    Args:
        found: Words and marks in order of time.
        turns: Who speaks when, in any order.
        prefer_current: Whether to ignore short changes of speaker within a sentence.
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
    """Return for every item the number of its word; a mark's is the word that it attaches to, or the one before."""
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
    """Return the numbers of the words that end a sentence."""
    return {owner for item, owner in zip(found, _owners(found), strict=True) if item.is_eos}


def _by_overlap(words: Sequence[Item], turns: Sequence[SpeakerTurn]) -> list[str | None]:
    """Return for every word who speaks for most of it, or else whose turn is nearest."""
    # Turns rarely overlap, but they may: a long one can cover those that begin after it.
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
    """Move changes of speaker to the end of a sentence that is one or two words away.

    A change never moves across another one, so a speaker of very few words keeps at least one.
    """
    moved = list(speakers)
    changes = [n for n in range(1, len(words)) if speakers[n - 1] != speakers[n]]
    begun = 0
    for change, after in itertools.pairwise([*changes, len(words)]):
        # Count words, not seconds: the end of the last word before a pause is often too late.
        beside = range(max(begun + 1, change - _SLIP), min(after, change + _SLIP + 1))
        start = min((n for n in beside if n - 1 in ends), key=lambda n: abs(n - change), default=change)
        moved[start:after] = [speakers[change]] * (after - start)
        moved[change:start] = [speakers[change - 1]] * (start - change)
        begun = start
    return moved


def _without_interjections(words: Sequence[Item], speakers: Sequence[str | None], ends: set[int]) -> list[str | None]:
    """Give short interruptions within a sentence to the current speaker."""
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
    """Return the seconds from the start of the first word to the end of the last."""
    return words[-1].end - words[0].start if words else 0.0
