"""From a file of audio to words with times: runs in worker processes.

``task`` holds what goes in and comes out and is light enough for the server to import; ``engine`` does the
work, with ``audio`` (decoding), ``speech`` (where speech is), ``windows`` (how it is cut) and ``weights``
(which model). On a cluster, ``parts`` are recognised side by side, each in a child that ``stoppable`` can end.

Two of the libraries used here would tell their makers about this machine unless they are told not to before they
are imported: onnxruntime (a device id and a process report) and huggingface_hub.
"""

import os
from typing import Final

NO_TELEMETRY: Final = {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

os.environ.update(NO_TELEMETRY)
