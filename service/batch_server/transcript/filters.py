"""Filters for words and punctuation that a job's config requests. Pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from service.batch_server.transcript.items import Item

DISFLUENCY: Final = "disfluency"
_ALL_MARKS: Final = "all"

# Hesitation sounds as Whisper writes them. Speechmatics tags them in English only.
_HESITATIONS: Final = {
    "en": frozenset({"uh", "um", "er", "erm", "ah", "eh", "hm", "hmm", "mm", "mmm", "mhm", "uhm", "umm", "uhh", "huh"})
}


def with_permitted_marks(items: Iterable[Item], permitted: Collection[str] | None) -> Iterator[Item]:
    """Remove punctuation marks that aren't permitted.

    Args:
        items: Words and marks.
        permitted: The marks to keep; ``None``, or a list with ``all``, keeps all.
    """
    for item in items:
        if item.kind == "word" or permitted is None or _ALL_MARKS in permitted or item.content in permitted:
            yield item


def with_disfluencies(items: Iterable[Item], language: str, *, remove: bool) -> list[Item]:
    """Tag hesitation sounds, or remove them and the comma that follows.

    Args:
        items: Words and marks.
        language: Speechmatics' code; languages without a list of sounds are not changed.
        remove: Whether to remove instead of tagging.
    """
    sounds = _HESITATIONS.get(language, frozenset())
    kept: list[Item] = []
    removed = False
    for item in items:
        hesitation = item.kind == "word" and item.content.lower() in sounds
        if hesitation and not remove:
            kept.append(msgspec.structs.replace(item, tags=(*item.tags, DISFLUENCY)))
        elif hesitation or (removed and item.kind == "punctuation" and not item.is_eos):
            removed = True
            continue
        elif removed and item.is_eos and (not kept or kept[-1].is_eos):
            pass  # the sentence was nothing but hesitation
        else:
            kept.append(item)
        removed = False
    return kept


def with_replacements(items: Sequence[Item], replacements: Iterable[tuple[str, str]]) -> list[Item]:
    """Replace words and phrases, in the order of the replacements.

    A phrase matches where its words are adjacent, ignoring case. Its replacement is one item with the time of the whole
    phrase; an empty replacement removes the phrase.

    Args:
        items: Words and marks.
        replacements: Pairs of a phrase and its replacement.
    """
    found = list(items)
    for phrase, replacement in replacements:
        wanted = phrase.lower().split()
        if wanted:
            found = list(_replaced(found, wanted, replacement))
    return found


def _replaced(items: list[Item], wanted: list[str], replacement: str) -> Iterator[Item]:
    position = 0
    while position < len(items):
        part = items[position : position + len(wanted)]
        if [item.content.lower() for item in part] == wanted and all(item.kind == "word" for item in part):
            if replacement:
                yield msgspec.structs.replace(
                    part[0],
                    content=replacement,
                    end=part[-1].end,
                    confidence=min(item.confidence for item in part),
                )
            position += len(wanted)
        else:
            yield items[position]
            position += 1
