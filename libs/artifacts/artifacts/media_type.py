"""The media type of a file by its first bytes, and whether a browser may show it. Knows no store and no routes.

The table is our own. `puremagic` 1.30 (for Python 3.11) was tried: it takes two bytes for proof, so that a text that begins with `BM` becomes
a bitmap, it calls every ZIP archive a Word document, and it names WAV and gzip by unregistered types.
"""

from __future__ import annotations

import re

UNKNOWN = "application/octet-stream"

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (4, b"ftyp", "video/mp4"),
)
"""Offset, bytes, media type."""

_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")

_PROVABLE = frozenset({found for _, _, found in _SIGNATURES} | set(_RIFF.values())) - {"audio/mpeg"}
"""Types that no file has without its signature. A file of `audio/mpeg` may begin with a frame of sound."""

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


def detected_type(body: bytes) -> str | None:
    """Return the media type that the first bytes prove, or None."""
    if body[:4] == b"RIFF":
        return _RIFF.get(body[8:12])
    return next((found for at, signature, found in _SIGNATURES if body.startswith(signature, at)), None)


def detected_image(body: bytes) -> str | None:
    """Return the media type of an image that browsers show, or None for any other file."""
    found = detected_type(body)
    return found if found in _SHOWN and found.startswith("image/") else None


def media_type_of(body: bytes, declared: str | None) -> str:
    """Return the type that the bytes prove, else the declared one if it is well formed, else `application/octet-stream`.

    Many formats are ZIP archives: there the declared type, being narrower, wins. A declared type that the bytes would prove is not believed.
    """
    found, said = detected_type(body), _well_formed(declared)
    if found not in (None, "application/zip") or said in _PROVABLE:
        return found_type(body)
    return said or found or UNKNOWN


def found_type(body: bytes) -> str:
    """Return the media type of a file by its bytes alone."""
    return detected_type(body) or ("text/plain" if _is_text(body) else UNKNOWN)


def may_be_shown(media_type: str) -> bool:
    """Say whether a browser may show such a file in place."""
    return media_type in _SHOWN


def _is_text(body: bytes) -> bool:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return bool(text) and _CONTROL.search(text) is None


def _well_formed(declared: str | None) -> str | None:
    named = (declared or "").partition(";")[0].strip().lower()
    return named if _MEDIA_TYPE.fullmatch(named) else None
