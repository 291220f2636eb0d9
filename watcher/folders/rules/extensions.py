"""File name extensions: of recordings, of temporary files, and of transcripts.

The media extensions are those of containers that FFmpeg's demuxers open
(https://ffmpeg.org/ffmpeg-formats.html and https://ffmpeg.org/general.html#File-Formats).
"""

from __future__ import annotations

__all__ = ["AUDIO", "OURS", "RECORDINGS", "TEMPORARY", "VIDEO"]


def _extensions(text: str) -> frozenset[str]:
    return frozenset(text.split())


AUDIO = _extensions(
    ".aac .ac3 .adts .aif .aifc .aiff .alac .amr .ape .au .awb .caf .dff .dsf .dss .dts .eac3 .ec3 .flac "
    ".gsm .loas .m4a .m4b .m4r .mka .mlp .mp1 .mp2 .mp3 .mpa .mpc .mpga .oga .ogg .oma .opus .qcp .ra "
    ".rf64 .sln .snd .spx .tak .thd .tta .voc .vqf .w64 .wav .wave .weba .wma .wv .wve",
)

VIDEO = _extensions(
    ".3g2 .3gp .3gpp .amv .asf .avi .divx .dv .dvr-ms .f4v .flv .ivf .m1v .m2t .m2ts .m2v .m4v .mj2 .mkv "
    ".mod .mov .mp4 .mpe .mpeg .mpg .mts .mxf .nsv .nut .ogm .ogv .ogx .qt .rm .rmvb .tod .ts .vob .webm "
    ".wmv .wtv .xvid",
)

RECORDINGS = AUDIO | VIDEO

OURS = frozenset({".txt", ".json", ".srt", ".vtt", ".md"})
"""The extensions of transcripts. Such a file is never a recording, whatever `include` says."""

TEMPORARY = _extensions(
    # browsers and download managers
    ".part .crdownload .download .opdownload .partial .filepart .aria2 .ytdl .!ut .!qb .bc! .dtapart .fdmdownload "
    # sync and copy tools, recorders, editors
    ".tmp .temp .!sync .bts .ptp .sb- .swp .swo .swx .swpx .lock .lck .bak .wal .journal .unfinished",
)
