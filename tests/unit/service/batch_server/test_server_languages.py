"""A language that is to be found out: what the model hears, held against what the job allows."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batch_server import capabilities, job_config
from service.batch_server import job as jobs
from service.batch_server.dispatch import transcription
from service.batch_server.errors import BadConfig
from service.batch_server.recognition import engine
from service.batch_server.recognition.language_id import SURE, choose, likeliest
from service.batch_server.recognition.messages import Identification, LanguageUnknown, Recognition, Task
from service.batch_server.recognition.segments import Batch, Piece, Span

SURELY_GERMAN = [("en", 0.1), ("de", 0.8), ("zh", 0.1)]
PERHAPS_GERMAN = [("en", 0.3), ("de", 0.4), ("zh", 0.3)]


def config(**identification):
    given = {
        "type": "transcription",
        "transcription_config": {"language": "auto"},
        "language_identification_config": identification,
    }
    return job_config.parse(json.dumps(given).encode())


def test_the_likeliest_language_is_taken():
    assert choose(SURELY_GERMAN, Identification()) == "de"
    assert choose(SURELY_GERMAN, Identification(expected=("fr", "de"))) == "de"


def test_a_language_that_is_not_expected_ends_the_job_and_is_named():
    with pytest.raises(LanguageUnknown, match=r"'de'.*0\.80.*en, fr"):
        choose(SURELY_GERMAN, Identification(expected=("en", "fr")))


def test_what_is_not_sure_ends_the_job_unless_it_says_otherwise():
    with pytest.raises(LanguageUnknown, match=r"'de'.*0\.40.*low_confidence_action"):
        choose(PERHAPS_GERMAN, Identification())
    assert choose(PERHAPS_GERMAN, Identification(when_unsure="allow")) == "de"
    assert choose(PERHAPS_GERMAN, Identification(when_unsure="use_default_language", default="fr")) == "fr"
    assert choose(SURELY_GERMAN, Identification(when_unsure="use_default_language", default="fr")) == "de"


@given(
    st.lists(st.tuples(st.sampled_from(["en", "de", "fr", "zh", "ja"]), st.floats(0, 1)), min_size=1),
    st.sets(st.sampled_from(["en", "de", "fr"])),
    st.sampled_from(["reject", "allow", "use_default_language"]),
)
def test_what_is_chosen_is_the_likeliest_or_the_default_and_else_the_job_ends(heard, expected, action):
    best = max(probability for _, probability in heard)
    wanted = Identification(expected=tuple(sorted(expected)), when_unsure=action, default="ja")
    try:
        chosen = choose(heard, wanted)
    except LanguageUnknown:
        assert expected or best < SURE
    else:
        assert chosen == "ja" or (chosen, best) in heard
        assert best >= SURE or action != "reject"
    assert likeliest(heard)[0][1] == pytest.approx(best, abs=0.001)


class Pipeline:
    """In place of a multilingual model, which no package brings: it hears what it is told, and writes nothing."""

    def __init__(self, heard):
        self.model = self
        self.is_multilingual = True
        self._heard = heard
        self.listened = []

    def detect_language(self, audio):
        assert audio.dtype == np.float32
        self.listened.append("language")
        return (*max(self._heard, key=lambda each: each[1]), self._heard)

    def transcribe(self, audio, *, language, **options):
        self.listened.append(language)
        return [], None


def batch():
    return Batch(0, (Piece(0, np.zeros(16_000, np.float32), (Span(0, 16_000),)),))


def test_the_language_is_found_out_once_and_everything_recognised_in_it():
    pipeline = Pipeline(SURELY_GERMAN)
    listener = engine.Listener(pipeline, Task(audio=Path("a"), language=None))
    listener.words(batch())
    listener.words(batch())
    assert pipeline.listened == ["language", "de", "de"]
    assert listener.language_candidates[0] == ("de", 0.8)


def test_nothing_is_recognised_in_a_language_that_is_not_allowed():
    pipeline = Pipeline(SURELY_GERMAN)
    task = Task(audio=Path("a"), language=None, identification=Identification(expected=("en",)))
    with pytest.raises(LanguageUnknown):
        engine.Listener(pipeline, task).words(batch())
    assert pipeline.listened == ["language"]


def test_the_config_reaches_the_worker_in_whispers_codes():
    wanted = config(
        expected_languages=["cmn", "en"], low_confidence_action="use_default_language", default_language="cmn"
    )
    task = transcription.task(wanted, Path("a"), longest=60)
    assert task.language is None
    assert task.identification == Identification(
        expected=("zh", "en"), when_unsure="use_default_language", default="zh"
    )


@pytest.mark.parametrize(
    ("heard", "language", "error"),
    [((("zh", 0.9), ("en", 0.05)), "zh", None), ((("en", 0.4),), "zh", "LOW_CONFIDENCE"), ((), "en", "NO_SPEECH")],
)
def test_the_transcript_says_how_the_language_was_found(heard, language, error):
    found = Recognition(duration=3.0, speech=2.0, channels=((),), language=language, language_candidates=heard)
    job = jobs.Job(id="a", owner="o", created=0, data_name="a.wav", config=b"", status="running")
    made = json.loads(transcription.transcript(job, config(), found))
    told = made["metadata"]["language_identification"]
    assert told.get("error") == error
    if heard:
        codes = [each["language"] for each in told["results"][0]["alternatives"]]
        assert codes == [{"zh": "cmn"}.get(code, code) for code, _ in heard]


@pytest.mark.parametrize(
    ("identification", "said"),
    [
        ({"low_confidence_action": "use_default_language"}, "default_language is missing"),
        ({"expected_languages": ["en", "tlh"]}, r"expected_languages\[1\]: 'tlh'"),
        ({"default_language": "auto"}, "default_language: 'auto'"),
        ({"default_language": "de"}, "only supports English"),
    ],
)
def test_what_can_not_be_meant_is_refused_with_its_place(identification, said):
    with pytest.raises(BadConfig, match=said):
        capabilities.check(config(**identification), model="tiny.en")
