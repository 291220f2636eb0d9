"""Submit a recording with a config of its own, wait for the job, and print who said what."""

import asyncio
import os

from watcher.speechmatics import AsyncClient, JobConfig, JobType, TranscriptionConfig


async def main() -> None:
    """Submit ``recording.wav`` and wait for its transcript."""
    async with AsyncClient(api_key=os.environ["SPEECHMATICS_API_KEY"]) as client:
        config = JobConfig(
            type=JobType.TRANSCRIPTION,
            transcription_config=TranscriptionConfig(
                language="en",
                operating_point="enhanced",
                diarization="speaker",
                enable_entities=True,
            ),
        )
        job = await client.submit_job("recording.wav", config=config)
        print(f"Job submitted: {job.id}")

        result = await client.wait_for_completion(job.id, polling_interval=2.0, timeout=300.0)
        print(f"Transcript: {result.transcript_text}")
        print(f"Confidence: {result.confidence}")
        for segment in result.segments:
            print(f"Speaker {segment.speaker}: {segment.text}")


asyncio.run(main())
