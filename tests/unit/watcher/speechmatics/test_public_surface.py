"""What the library offers to the world, and that it is explained."""

import inspect
import subprocess
import sys
from enum import Enum

import pytest

import watcher.speechmatics as library
from watcher.speechmatics import errors

PUBLIC = """
AdditionalVocab ApiError AsyncClient AudioEvent AudioEventsConfig AudioFilteringConfig AudioSource Auth
AuthenticationError AutoChaptersConfig BadRequest BatchClient BeforeCommit BrokenJson Chapter Clock
ConcurrencyLimited ConfigurationError ConnectFailed ConnectionLost ConnectionSettings FetchData FormatType Gone
JWTAuth Job JobConfig JobDeleted JobDetailError JobDetails JobExpired JobFailed JobInfo JobRejected JobStatus
JobTimeout JobType LanguageIdentificationConfig LanguagePackInfo Limiter Locked Model NotFound NotificationConfig
NotificationContents NotificationMethod OperatingPoint OutputConfig PagingStalled PayloadTooLarge PermissionDenied
ProcessingData Progress PunctuationOverrides RateLimited RecognitionAlternative RecognitionMetadata
RecognitionResult Redirected Region Replacement RequestKind ResponseError RetryPolicy Segment
SentimentAnalysisConfig ServerError SourceChanged SourceError SourceUnreadable SpeakerDiarizationConfig
SpeakerIdentifier SpeakerInput SpeechmaticsError SrtOverrides StaticKeyAuth SubmissionUnknown SummarizationConfig
Summary SystemClock Timeout Timeouts TopicDetectionConfig TrackingData TranscriptFilteringConfig TranscriptResult
TranscriptionConfig TranslationConfig TranslationSentence TransportError TruncatedBody UnexpectedAnswer
Unprocessable UploadReceipt Usage UsageDetails Word WrongContentType parse_timestamp
"""

CLIENT_METHODS = {
    "close", "delete_job", "get_job", "get_json", "get_log", "get_result", "get_transcript", "get_usage",
    "iter_job_pages", "iter_jobs", "key_digest", "list_jobs", "submit_job", "transcribe", "url", "wait_for_completion",
    "wait_for_job",
}  # fmt: skip
SYNC_METHODS = {
    "check_job_status", "close", "connect", "delete_job", "get_job_result", "list_jobs", "submit_job", "submit_jobs",
    "wait_for_completion",
}  # fmt: skip


def test_the_public_names_are_these():
    assert library.__all__ == sorted(PUBLIC.split())
    assert all(hasattr(library, name) for name in library.__all__)


def test_the_clients_have_these_methods():
    for client, methods in ((library.AsyncClient, CLIENT_METHODS), (library.BatchClient, SYNC_METHODS)):
        assert {name for name in dir(client) if not name.startswith("_")} == methods


def classes():
    found = [getattr(library, name) for name in library.__all__]
    return [each for each in found if inspect.isclass(each)]


@pytest.mark.parametrize("public", classes(), ids=lambda each: each.__name__)
def test_every_public_class_and_method_is_explained(public):
    assert inspect.getdoc(public)
    if issubclass(public, (Enum, Exception)):
        return
    methods = {name: each for name, each in vars(public).items() if inspect.isfunction(each) and name[0] != "_"}
    assert [name for name, each in methods.items() if not inspect.getdoc(each)] == []


def test_the_error_tree_is_drawn_as_it_is():
    drawn = {}
    path = []
    for line in inspect.getdoc(errors).splitlines():
        marks = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ")
        name = marks.split()[0] if marks.split() else ""
        if isinstance(getattr(errors, name, None), type) and ("──" in line or name == "SpeechmaticsError"):
            depth = (len(marks) - len(marks.lstrip())) // 4 - 1
            path = [*path[:depth], name]
            drawn[name] = path[depth - 1] if depth else "Exception"
    assert set(drawn) == set(errors.__all__)
    assert {name: getattr(errors, name).__mro__[1].__name__ for name in drawn} == drawn


def test_it_stands_on_its_own():
    code = (
        "import sys, watcher.speechmatics\n"
        "mine = {name for name in sys.modules if name.startswith(('watcher.', 'service'))}\n"
        "others = sorted(name for name in mine if not name.startswith('watcher.speechmatics'))\n"
        "print(others)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]", ran.stdout
