"""What kind of file some bytes are, and whether a browser may be trusted to show it. Knows no routes."""

from __future__ import annotations

import re

UNKNOWN = "application/octet-stream"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_SHOWN = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "audio/ogg",
        "audio/mpeg",
        "audio/wav",
        "video/mp4",
        "text/plain",
        "application/json",
    }
)
"""Types that carry no script: a browser may show them. Everything else is downloaded."""


def media_type_of(body: bytes, declared: str | None) -> str:
    """Return the media type that bytes give away, else the one declared, if it has the form of one.

    A declaration never makes bytes into something their own signature denies.
    """
    for magic, media_type in _MAGIC:
        if body.startswith(magic):
            return media_type if media_type != "application/zip" else _declared(declared) or media_type
    if body[:4] == b"RIFF" and body[8:12] in _RIFF:
        return _RIFF[body[8:12]]
    if body[4:8] == b"ftyp":
        return "video/mp4"
    return _declared(declared) or UNKNOWN


def may_be_shown(media_type: str) -> bool:
    """Say whether a browser may show such a file in place."""
    return media_type in _SHOWN


def _declared(declared: str | None) -> str | None:
    named = (declared or "").partition(";")[0].strip().lower()
    return named if _MEDIA_TYPE.fullmatch(named) else None
