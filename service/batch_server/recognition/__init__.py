"""From a file of audio to words with times: runs in worker processes.

``task`` holds what goes in and comes out and is light enough for the server to import; ``engine`` does the
work, with ``audio`` (decoding), ``speech`` (where speech is), ``windows`` (how it is cut) and ``weights``
(which model).
"""
