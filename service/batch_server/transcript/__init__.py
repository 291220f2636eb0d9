"""From recognised words to transcripts, all of it pure: ``items``, ``json_v2``, ``txt``, ``srt``."""
