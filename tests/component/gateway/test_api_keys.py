"""API keys over HTTP: shown once, listed without their text, narrowed by scopes, rotated, revoked; none makes more than it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from contracts.identity import Right, Role

from .credentials import bearer, guarded_site, key, token
from .memory_site import Site
from .over_http import problem

KEYS = "/admin/api-keys"
ANNS: dict[str, Any] = {"name": "Ann, laptop", "subject": "ann", "roles": ["reviewer"], "groups": ["legal"]}
PROVISIONER = (Right.MANAGE_KEYS, Right.START, Right.READ)


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials."""
    async with guarded_site(tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def adam(site: Site) -> str:
    """Give an administrator's key."""
    return await key(site, "adam", Role.ADMIN)


async def made(site: Site, maker: str, **members: Any) -> httpx.Response:
    """Ask for a key."""
    return await site.http.post(KEYS, headers=bearer(maker), json=ANNS | members)


async def test_a_key_is_shown_once_and_then_stands_for_its_person(site: Site, adam: str) -> None:
    """No list has its text, nor does any cache keep the answer."""
    answer = await made(site, adam)
    shown = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert {name: shown[name] for name in ANNS} == ANNS
    assert (shown["created_by"], shown["kind"], shown["owner"], shown["scopes"]) == ("adam", "person", None, [])
    me = (await site.http.get("/me", headers=bearer(shown["key"]))).json()
    assert (me["subject"], me["roles"], me["groups"], me["scopes"]) == ("ann", ["reviewer"], ["legal"], [])
    listed = await site.http.get(KEYS, headers=bearer(adam))
    assert shown["id"] in listed.text
    assert shown["key"] not in listed.text


async def test_a_service_has_an_owner(site: Site, adam: str) -> None:
    """Who made its key: votes are counted by persons."""
    assert (await made(site, adam, kind="service")).json()["owner"] == "adam"


async def test_scopes_are_shown_and_kept_by_a_rotation(site: Site, adam: str) -> None:
    """In the answer, in the list, to who comes with the key, and of the key that takes its place."""
    scopes = [Right.READ, Right.READ_SELF]
    first = (await made(site, adam, scopes=[*scopes, Right.READ])).json()
    rotated = (await site.http.post(f"{KEYS}/{first['id']}/rotate", headers=bearer(adam), json={})).json()
    assert first["scopes"] == rotated["scopes"] == scopes
    for text in (first["key"], rotated["key"]):
        assert (await site.http.get("/me", headers=bearer(text))).json()["scopes"] == scopes
        problem(await site.http.get("/providers", headers=bearer(text)), 403, "forbidden")
    listed = (await site.http.get(KEYS, headers=bearer(adam))).json()["items"]
    assert {one["id"]: one["scopes"] for one in listed}[first["id"]] == scopes


@pytest.mark.parametrize("scopes", [[], ["runs:fly"], ["Runs:Read"], "runs:read", [""], [1]])
async def test_scopes_are_rights_and_not_none(site: Site, adam: str, scopes: object) -> None:
    """An empty list would mean all rights to us, and none to who wrote it."""
    document = problem(await made(site, adam, scopes=scopes), 422, "validation_failed")
    assert all(issue["path"].startswith("/scopes") for issue in document["issues"])


@pytest.mark.parametrize(
    "ends", ["9999-12-31T23:59:59-10:00", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+10:00"]
)
async def test_a_key_does_not_expire_at_an_end_of_the_calendar(site: Site, adam: str, ends: str) -> None:
    """Another zone's time could not be computed there, nor kept."""
    document = problem(await made(site, adam, expires_at=ends), 422, "validation_failed")
    assert [
        (issue["path"], "2000" in issue["message"] or "3000" in issue["message"]) for issue in document["issues"]
    ] == [("/expires_at", True)]


async def test_a_provisioning_key_makes_keys_and_decides_nothing(site: Site) -> None:
    """What it hands on it has itself; the keys that it made do what they are for."""
    provisioner = await key(site, "terraform", Role.ADMIN, scopes=PROVISIONER)
    run_id = next(iter(site.tables.rows))
    problem(
        await site.http.post(f"/hitl/runs/{run_id}/approve", headers=bearer(provisioner), json={}), 403, "forbidden"
    )
    agent = (await made(site, provisioner, subject="bot", roles=["requester"], scopes=["runs:start"])).json()
    started = await site.http.post("/hitl/runs", headers=bearer(agent["key"]), json={"prompt": "x"})
    assert started.status_code == 201
    problem(await site.http.get(KEYS, headers=bearer(agent["key"])), 403, "forbidden")
    revoked = await site.http.delete(f"{KEYS}/{agent['id']}", headers=bearer(provisioner))
    assert revoked.status_code == 204


@pytest.mark.parametrize(
    "members",
    [{}, {"roles": ["admin"]}, {"roles": ["requester"]}, {"scopes": list(Right)}, {"scopes": ["decisions:write"]}],
    ids=str,
)
async def test_no_key_makes_one_of_more_rights_than_its_own(site: Site, members: dict[str, Any]) -> None:
    """Nor does a narrowed token; and without scopes a key would grow with its roles."""
    for maker in (
        await key(site, "terraform", Role.ADMIN, scopes=PROVISIONER),
        token(sub="terraform", roles=["admin"], scope="keys:manage runs:read email"),
    ):
        problem(await made(site, maker, **members), 403, "forbidden")
    assert (await made(site, await key(site, "adam", Role.ADMIN), **members)).status_code == 201


async def test_no_key_rotates_one_of_more_rights_than_its_own(site: Site, adam: str) -> None:
    """The answer has a key of those rights; the old key stays as it was."""
    wide = (await made(site, adam, roles=["admin"])).json()
    narrow = (await made(site, adam, scopes=["runs:read"])).json()
    provisioner = await key(site, "terraform", Role.ADMIN, scopes=PROVISIONER)

    async def rotated(key_id: str) -> httpx.Response:
        return await site.http.post(f"{KEYS}/{key_id}/rotate", headers=bearer(provisioner), json={})

    problem(await rotated(wide["id"]), 403, "forbidden")
    assert (await site.http.get("/me", headers=bearer(wide["key"]))).status_code == 200
    assert (await rotated(narrow["id"])).status_code == 201


@pytest.mark.parametrize(("method", "path"), [("DELETE", KEYS + "/{id}"), ("POST", KEYS + "/{id}/rotate")])
async def test_another_tenants_keys_are_not_there(site: Site, adam: str, method: str, path: str) -> None:
    """Neither to revoke nor to rotate nor to see."""
    mine = (await made(site, adam)).json()
    eve = bearer(await key(site, "eve", Role.ADMIN, tenant="elsewhere"))
    for named in (mine["id"], str(uuid4()), "no-id"):
        answer = await site.http.request(
            method, path.format(id=named), headers=eve, json={} if method == "POST" else None
        )
        problem(answer, 404, "api_key_not_found")
    assert mine["id"] not in (await site.http.get(KEYS, headers=eve)).text
