"""From recognised words to transcripts: ``items``, ``filters``, ``speakers``; ``json_v2``, ``txt``, ``srt``. Pure."""
