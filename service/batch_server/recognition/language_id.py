"""Chooses the language of a recording, from the model's probabilities and what the job allows. Pure."""

from collections.abc import Sequence
from typing import Final

from service.batch_server.recognition.messages import Identification, LanguageUnknown

# Below this Whisper's guess counts as uncertain: the value at which faster-whisper itself would analyse more audio.
SURE: Final = 0.5

Probabilities = Sequence[tuple[str, float]]
"""Whisper's language codes, each with its probability."""


def choose(probabilities: Probabilities, wanted: Identification) -> str:
    """Choose the language to recognise in.

    Source of the rules: Speechmatics' page on language identification. An uncertain guess ends the job unless
    the job says otherwise, and so does a language that is not expected.

    Args:
        probabilities: Every language that the model knows, with its probability.
        wanted: The job's options for it.

    Raises:
        LanguageUnknown: If the job has to end here.
    """
    language, confidence = max(probabilities, key=lambda each: each[1])
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


def likeliest(probabilities: Probabilities, most: int = 3) -> tuple[tuple[str, float], ...]:
    """Return the likeliest languages, likeliest first."""
    found = sorted(probabilities, key=lambda each: each[1], reverse=True)[:most]
    return tuple((language, round(float(confidence), 3)) for language, confidence in found)
