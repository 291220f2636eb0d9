"""Writes and reads json-v2 transcripts."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from service.batch_server.transcript import languages
from service.batch_server.transcript.items import Item

FORMAT_VERSION: Final = "2.9"


class Alternative(msgspec.Struct, omit_defaults=True):
    """``RecognitionAlternative``, the fields that the other formats need."""

    content: str
    speaker: str = "UU"


class Result(msgspec.Struct, omit_defaults=True):
    """``RecognitionResult``, the fields that the other formats need."""

    type: str
    start_time: float
    end_time: float
    alternatives: tuple[Alternative, ...]
    attaches_to: str | None = None
    is_eos: bool = False
    channel: str | None = None


class LanguagePack(msgspec.Struct):
    """``LanguagePackInfo``, the fields that the other formats need."""

    word_delimiter: str = " "


class TranscriptionPart(msgspec.Struct):
    """``TranscriptionConfig``, the fields that the other formats need."""

    diarization: str = "none"


class SrtLimits(msgspec.Struct):
    """``srt_overrides`` of the output config."""

    max_line_length: int | None = None
    max_lines: int | None = None


class OutputPart(msgspec.Struct):
    """``OutputConfig``."""

    srt_overrides: SrtLimits = msgspec.field(default_factory=SrtLimits)


class Metadata(msgspec.Struct):
    """``RecognitionMetadata``, the fields that the other formats need."""

    language_pack_info: LanguagePack = msgspec.field(default_factory=LanguagePack)
    transcription_config: TranscriptionPart = msgspec.field(default_factory=TranscriptionPart)
    output_config: OutputPart = msgspec.field(default_factory=OutputPart)


class Transcript(msgspec.Struct):
    """``RetrieveTranscriptResponse``, the fields that the other formats need."""

    metadata: Metadata
    results: list[Result]

    @property
    def diarized(self) -> bool:
        """Whether the transcript has labels of speakers or channels."""
        return self.metadata.transcription_config.diarization != "none"


_decoder: Final = msgspec.json.Decoder(Transcript)


def read(transcript: bytes) -> Transcript:
    """Read a json-v2 transcript written by ``render``."""
    return _decoder.decode(transcript)


def language_pack_info(language: str) -> dict[str, Any]:
    """Build the ``LanguagePackInfo`` of a language."""
    right_to_left = languages.is_right_to_left(language)
    return {
        "adapted": False,
        "itn": True,
        "language_description": languages.NAMES.get(language, language),
        "word_delimiter": languages.word_delimiter(language),
        "writing_direction": "right-to-left" if right_to_left else "left-to-right",
    }


def render(items: Iterable[Item], *, language: str, job: Mapping[str, Any], metadata: Mapping[str, Any]) -> bytes:
    """Render a ``RetrieveTranscriptResponse``.

    Args:
        items: Words and marks in order.
        language: Speechmatics' code of the language.
        job: The ``JobInfo``.
        metadata: The ``RecognitionMetadata``, without the language pack.
    """
    direction = "rtl" if languages.is_right_to_left(language) else "ltr"
    return msgspec.json.encode(
        {
            "format": FORMAT_VERSION,
            "job": job,
            "metadata": {**metadata, "language_pack_info": language_pack_info(language)},
            "results": [_result(item, language, direction) for item in items],
        }
    )


def _result(item: Item, language: str, direction: str) -> dict[str, Any]:
    alternative: dict[str, Any] = {
        "confidence": item.confidence,
        "content": item.content,
        "display": {"direction": direction},
        "language": language,
        "speaker": item.speaker,
    }
    if item.tags:
        alternative["tags"] = item.tags
    result: dict[str, Any] = {
        "alternatives": [alternative],
        "end_time": item.end,
        "start_time": item.start,
        "type": item.kind,
    }
    if item.channel is not None:
        result["channel"] = item.channel
    if item.kind == "punctuation":
        result["attaches_to"] = item.attaches_to
        result["is_eos"] = item.is_eos
    return result
