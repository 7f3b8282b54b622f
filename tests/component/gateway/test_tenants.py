"""What one tenant keeps is not there for another: runs, files, keys of requests, cursors, and what metrics count."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from contracts.identity import Role
from testkit.runs.commands import prepared, start
from testkit.runs.people import RITA
from testkit.runs.specification import given

from .credentials import bearer, guarded_site, key
from .memory_site import Site
from .over_http import problem

BYTES = b"the same bytes"
FILE = f"/hitl/artifacts/{hashlib.sha256(BYTES).hexdigest()}"


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials."""
    async with guarded_site(tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def ann(site: Site) -> dict[str, str]:
    """Give the headers of an administrator of the tenant with the run."""
    return bearer(await key(site, "ann", Role.ADMIN))


@pytest_asyncio.fixture
async def eve(site: Site) -> dict[str, str]:
    """Give the headers of an administrator of another tenant, of the same name."""
    return bearer(await key(site, "ann", Role.ADMIN, tenant="elsewhere"))


async def upload(site: Site, headers: dict[str, str], body: bytes = BYTES, **more: str) -> httpx.Response:
    """Send a file."""
    return await site.http.post("/hitl/artifacts", headers=headers | more, files={"file": ("f", body)})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_foreign_tenants_file_is_not_there(
    site: Site, ann: dict[str, str], eve: dict[str, str], method: str
) -> None:
    """Though its hash is known, and an `ETag` that would fit; once the same bytes are one's own, they are."""
    assert (await upload(site, ann)).status_code == 201
    assert (await site.http.request(method, FILE, headers=ann)).status_code == 200
    for more in ({}, {"If-None-Match": f'"{FILE.rpartition("/")[2]}"'}):
        refused = await site.http.request(method, FILE, headers=eve | more)
        assert refused.status_code == 404
        assert method == "HEAD" or refused.json()["code"] == "artifact_not_found"
    assert (await upload(site, eve)).status_code == 201
    own = await site.http.request(method, FILE, headers=eve)
    assert (own.status_code, own.content) == (200, BYTES if method == "GET" else b"")
    assert own.headers["vary"] == "Authorization, Cookie"


async def test_a_requests_key_is_its_givers_for_files_too(site: Site, ann: dict[str, str], eve: dict[str, str]) -> None:
    """Another tenant's or another person's under the same name is another key: no answer of theirs, and no refusal."""
    bob = bearer(await key(site, "bob", Role.REVIEWER))
    same = {"Idempotency-Key": "k"}
    answers = [await upload(site, who, f"of {number}".encode(), **same) for number, who in enumerate((ann, eve, bob))]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["artifact"] for answer in answers}) == 3
    problem(await upload(site, ann, b"other bytes", **same), 422, "idempotency_key_reused")
    assert (await upload(site, ann, b"of 0", **same)).json() == answers[0].json()


async def test_a_requests_key_is_its_tenants_for_runs(site: Site, ann: dict[str, str], eve: dict[str, str]) -> None:
    """The same person's name, key and body in two tenants start two runs, and neither sees the other."""
    same = {"Idempotency-Key": "k"}
    mine, hers = [
        (await site.http.post("/hitl/runs", headers=who | same, json={"prompt": "x"})).json()["run_id"]
        for who in (ann, eve)
    ]
    assert mine != hers
    for who, foreign in ((ann, hers), (eve, mine)):
        problem(await site.http.get(f"/hitl/runs/{foreign}", headers=who), 404, "run_not_found")


@pytest.mark.parametrize("path", ["/hitl/runs", "/hitl/approvals", "/admin/api-keys", "/"])
async def test_a_foreign_cursor_is_refused(site: Site, ann: dict[str, str], eve: dict[str, str], path: str) -> None:
    """One's own goes on; another tenant's names no place in a list of one's own."""
    for number in range(2):
        one = {"run_id": UUID(int=number)}
        asked = start(allowed_steps=("payload_review",)).but(principal=RITA, **one)
        await site.orchestrator.tell(given(asked, prepared().but(**one)))
        await key(site, f"more-{number}", Role.REVIEWER)
    listed = "/hitl/approvals" if path == "/" else path
    cursor = (await site.http.get(listed, params={"limit": 1}, headers=ann)).json()["next_cursor"]
    assert cursor is not None
    assert (await site.http.get(path, params={"cursor": cursor}, headers=ann)).status_code == 200
    refused = await site.http.get(path, params={"cursor": cursor}, headers=eve)
    assert [(issue["path"], issue["code"]) for issue in problem(refused, 422, "validation_failed")["issues"]] == [
        ("/cursor", "cursor_malformed")
    ]


async def test_metrics_count_refusals_by_tenant_and_by_reason(site: Site) -> None:
    """Who lacks a right is of a known tenant; who brings no credential that holds is of none."""

    async def counted(sample: str) -> float:
        lines = (await site.http.get("/metrics")).text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{sample} ")), 0.0)

    forbidden = 'sayso_gateway_forbidden_total{tenant="elsewhere"}'
    refused = 'sayso_gateway_refused_credentials_total{reason="credential_missing"}'
    before = await counted(forbidden), await counted(refused)
    auditor = bearer(await key(site, "audrey", Role.AUDITOR, tenant="elsewhere"))
    problem(await site.http.get("/admin/api-keys", headers=auditor), 403, "forbidden")
    problem(await site.http.get("/me"), 401, "unauthorized")
    assert (await counted(forbidden), await counted(refused)) == (before[0] + 1, before[1] + 1)
