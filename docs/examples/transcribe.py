"""Transcribe a recording and print its text."""

import asyncio
import os

from watcher.speechmatics import AsyncClient, TranscriptionConfig


async def main() -> None:
    """Transcribe ``meeting.mp3``."""
    async with AsyncClient(api_key=os.environ["SPEECHMATICS_API_KEY"]) as client:
        result = await client.transcribe(
            "meeting.mp3",
            transcription_config=TranscriptionConfig(language="en"),
        )
        print(result.transcript_text)


asyncio.run(main())
