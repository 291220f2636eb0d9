"""The same without an event loop, with the names of Speechmatics' synchronous client."""

import os

from watcher.speechmatics import BatchClient, ConnectionSettings

settings = ConnectionSettings(
    url=os.environ.get("SPEECHMATICS_BATCH_URL", "https://eu1.asr.api.speechmatics.com/v2"),
    auth_token=os.environ["SPEECHMATICS_API_KEY"],
)
config = {
    "type": "transcription",
    "transcription_config": {"language": "en", "enable_entities": True},
}

with BatchClient(settings) as client:
    job_id = client.submit_job(audio="meeting.wav", transcription_config=config)
    print(f"Job {job_id} submitted, waiting for its transcript")
    print(client.wait_for_completion(job_id, transcription_format="txt"))
    print(client.get_job_result(job_id, transcription_format="srt"))
