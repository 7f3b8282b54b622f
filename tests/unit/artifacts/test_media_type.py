"""Media types of files: proved by the first bytes, declared by the client, fit to be shown by a browser."""

from __future__ import annotations

import pytest

from artifacts.media_type import detected_image, may_be_shown, media_type_of


@pytest.mark.parametrize(
    ("body", "declared", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "text/html", "image/png"),
        (b"\xff\xd8\xff\xe0", None, "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp", "image/webp"),
        (b"\x00\x00\x00\x18ftypmp42", None, "video/mp4"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None, "audio/wav"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo", "video/x-msvideo"),
        (b"GIF87a", None, "image/gif"),
        (b"GIF89a....", None, "image/gif"),
        (b"OggS\x00", None, "audio/ogg"),
        (b"ID3\x03", None, "audio/mpeg"),
        (b"\x1f\x8b\x08", None, "application/gzip"),
        (b"BM hello", "text/plain", "text/plain"),
        (b"%PDF-1.7", "application/pdf", "application/pdf"),
        (b"PK\x03\x04", None, "application/zip"),
        (b"PK\x03\x04", "application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        (b"hello", "text/plain; charset=utf-8", "text/plain"),
        (b"hello", "Text/CSV", "text/csv"),
        (b"<script>", "text/html", "text/html"),
        (b"hello", None, "application/octet-stream"),
        (b"hello", "nonsense", "application/octet-stream"),
        (b"hello", "text/plain\r\nX-Evil: 1", "application/octet-stream"),
        (b"", "", "application/octet-stream"),
    ],
)
def test_the_bytes_speak_first_and_the_client_second(body: bytes, declared: str | None, media_type: str) -> None:
    """A declaration is believed where the bytes do not deny it, and has the form of one."""
    assert media_type_of(body, declared) == media_type


@pytest.mark.parametrize(
    "media_type", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "text/javascript"]
)
def test_what_can_run_is_never_shown(media_type: str) -> None:
    """A file of these types could act in the name of whoever looks at it."""
    assert not may_be_shown(media_type)


def test_images_are_shown() -> None:
    """A reviewer sees what was drawn."""
    assert may_be_shown("image/png")


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"%PDF-1.7", None),
        (b"<svg/>", None),
        (b"", None),
    ],
)
def test_an_image_that_browsers_show_is_told_by_its_bytes(body: bytes, media_type: str | None) -> None:
    """Whatever a server declares: an answer's file is shown to a reviewer."""
    assert detected_image(body) == media_type
