"""Which language a recording is in, by what the model hears and what the job allows. Pure."""

from collections.abc import Sequence
from typing import Final

from service.batch_server.recognition.messages import Identification, LanguageUnknown

# Below it Whisper's guess is no answer: faster-whisper's own bound for going on to listen to more.
SURE: Final = 0.5

Heard = Sequence[tuple[str, float]]
"""Whisper's language codes, each with its probability."""


def choose(heard: Heard, wanted: Identification) -> str:
    """Choose the language to recognise in.

    Source of the rules: Speechmatics' page on language identification. A guess that is not sure ends the job unless it
    says otherwise, and so does a language that it does not expect.

    Args:
        heard: Every language that the model knows, with its probability.
        wanted: What the job says about it.

    Raises:
        LanguageUnknown: If the job is to end here.
    """
    language, confidence = max(heard, key=lambda found: found[1])
    if confidence < SURE:
        if wanted.when_unsure == "use_default_language" and wanted.default is not None:
            return wanted.default
        if wanted.when_unsure != "allow":
            raise LanguageUnknown(
                f"The language could not be identified: {language!r} is the likeliest, with a confidence of only "
                f"{confidence:.2f}. Name the language, or set low_confidence_action in language_identification_config"
            )
    if wanted.expected and language not in wanted.expected:
        raise LanguageUnknown(
            f"The language seems to be {language!r} (confidence {confidence:.2f}), which is not one of "
            f"expected_languages: {', '.join(wanted.expected)}"
        )
    return language


def likeliest(heard: Heard, most: int = 3) -> tuple[tuple[str, float], ...]:
    """Return the likeliest languages, likeliest first."""
    found = sorted(heard, key=lambda each: each[1], reverse=True)[:most]
    return tuple((language, round(float(confidence), 3)) for language, confidence in found)
