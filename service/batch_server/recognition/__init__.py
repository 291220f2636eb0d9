"""From an audio file to words with times; the work itself runs in worker processes.

``entrypoints`` holds the calls and ``messages`` what goes in and comes out; both are light enough for the server to
import. Behind them, ``engine`` recognises words and ``diarization`` finds speakers; ``audio`` decodes, ``segments``
finds speech and cuts it into batches, ``weights`` finds the model's files, ``language_id`` chooses the language. For a
cluster, ``chunks`` cuts a recording into parts that are recognised in parallel.

Two libraries used here send data about this machine to their makers unless they are told not to before they are
imported: onnxruntime (a device id and a process report) and huggingface_hub.
"""

import os
from typing import Final

NO_TELEMETRY: Final = {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

os.environ.update(NO_TELEMETRY)
