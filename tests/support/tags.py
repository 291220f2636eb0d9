"""Tags in recordings that are not valid text, as old recorders and editors write them."""

import struct

TITLE = "Gespräch über Größe".encode("latin-1") + b"\xff\xfe\0"


def with_undecodable_tag(path):
    """Add a title that is not UTF-8 to a WAV file; return the path."""
    tag = b"INAM" + struct.pack("<I", len(TITLE)) + TITLE + b"\0" * (len(TITLE) % 2)
    chunk = b"LIST" + struct.pack("<I", 4 + len(tag)) + b"INFO" + tag
    sound = path.read_bytes()
    assert sound[:4] == b"RIFF"
    # Directly after "WAVE", before the sound.
    data = b"RIFF" + struct.pack("<I", len(sound) - 8 + len(chunk)) + sound[8:12] + chunk + sound[12:]
    path.write_bytes(data)
    return path
