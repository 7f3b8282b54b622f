"""Files over HTTP: kept once by their hash, shown only where they cannot act, refused with the reason."""

from __future__ import annotations

import asyncio
import hashlib
from uuid import uuid4

import httpx
import pytest

from testkit.stack.user import User

from .over_http import problem


async def upload(user: User, body: bytes, media_type: str, **query: str) -> httpx.Response:
    """Send a file."""
    return await user.http.post("/hitl/artifacts", files={"file": ("f", body, media_type)}, params=query)


async def test_a_file_comes_back_as_it_was_and_is_kept_once(ada: User) -> None:
    """By the hash of its content, for ever: a client that has it need not fetch it again."""
    body = b"\x89PNG\r\n\x1a\n" + uuid4().bytes
    answers = [await upload(ada, body, "application/octet-stream", session_id="s1") for _ in range(2)]
    sha256 = hashlib.sha256(body).hexdigest()
    kept = {"artifact": f"artifact:sha256:{sha256}", "size": len(body), "media_type": "image/png"}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(201, kept)] * 2
    read = await ada.http.get(answers[0].headers["location"])
    assert (read.content, read.headers["content-type"]) == (body, "image/png")
    assert read.headers["etag"] == f'"{sha256}"'
    assert "immutable" in read.headers["cache-control"]
    assert "content-disposition" not in read.headers
    again = await ada.http.get(f"/hitl/artifacts/{sha256}", headers={"If-None-Match": f'"{sha256}"'})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/octet-stream"])
async def test_a_file_that_could_act_is_downloaded_and_never_shown(ada: User, media_type: str) -> None:
    """No sniffing, no scripts, no frame: no browser runs an uploaded file."""
    stored = await upload(ada, f"<svg onload='alert(1)'>{uuid4()}</svg>".encode(), media_type)
    read = await ada.http.get(stored.headers["location"])
    assert read.headers["content-type"].partition(";")[0] == media_type
    assert read.headers["content-disposition"].startswith("attachment")
    assert read.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in read.headers["content-security-policy"]


async def test_an_upload_under_a_key_is_answered_once_and_for_all(ada: User) -> None:
    """The same key and bytes get the same answer, at the same time too; other bytes are refused and not kept."""
    key, body = {"Idempotency-Key": uuid4().hex}, b"\x00" + uuid4().bytes
    files = {"file": ("f", body, "application/x-one")}
    answers = await asyncio.gather(*(ada.http.post("/hitl/artifacts", files=files, headers=key) for _ in range(4)))
    await upload(ada, body, "application/x-two")
    answers.append(await ada.http.post("/hitl/artifacts", files=files, headers=key))
    assert {(answer.status_code, answer.text, answer.headers["location"]) for answer in answers} == {
        (201, answers[0].text, answers[0].headers["location"])
    }
    other = uuid4().bytes
    refused = await ada.http.post("/hitl/artifacts", files={"file": ("f", other)}, headers=key)
    problem(refused, 422, "idempotency_key_reused")
    problem(await ada.http.get(f"/hitl/artifacts/{hashlib.sha256(other).hexdigest()}"), 404, "artifact_not_found")
    read = await ada.http.get(answers[0].headers["location"])
    assert read.headers["content-type"] == "application/octet-stream"


async def test_bad_uploads_get_their_problem(ada: User) -> None:
    """No form, no file, a field too many, a broken form, one file too many, too large by far."""
    url = "/hitl/artifacts"
    problem(await ada.http.post(url, content=b"x"), 415, "unsupported_media_type")
    missing = problem(await ada.http.post(url, files={"other": b"x"}), 422, "validation_failed")
    assert {issue["path"] for issue in missing["issues"]} == {"/other", "/file"}
    extra = problem(await ada.http.post(url, files={"file": b"x"}, data={"note": "y"}), 422, "validation_failed")
    assert extra["issues"][0]["path"] == "/note"
    two = [("file", ("a", b"1")), ("file", ("b", b"2"))]
    problem(await ada.http.post(url, files=two), 422, "validation_failed")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(await ada.http.post(url, content=b"--x\r\nnonsense", headers=headers), 422, "validation_failed")
    problem(
        await ada.http.post(url, content=b"", headers={"Content-Type": "multipart/form-data"}), 422, "validation_failed"
    )
    problem(await upload(ada, b"x", "text/plain", session_id="\x00"), 422, "validation_failed")
    problem(await upload(ada, b"x" * 30_000_000, "text/plain"), 413, "payload_too_large")
    problem(await ada.http.get(f"{url}/{'0' * 64}"), 404, "artifact_not_found")
    problem(await ada.http.get(f"{url}/short"), 404, "artifact_not_found")
    assert (await upload(ada, b"fine", "text/plain")).status_code == 201
