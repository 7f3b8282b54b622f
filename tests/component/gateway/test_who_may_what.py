"""Who may ask what over HTTP: every route for every role, made from the routes themselves, so that a new one without a row fails.

All rows share a gateway. Each asks for a run of its own, and one that is refused changes nothing in the gateway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import jwt
import pytest
import pytest_asyncio
from starlette.routing import BaseRoute, Route

from chassis.settings import Settings
from contracts.identity import ROLES, Right, Role
from gateway.app import create_app
from gateway.identity.route_rights import PUBLIC, ROUTE_RIGHTS, RUN, WITHOUT_ROLE, is_public
from gateway.testing.adapters import MemoryBroker, memory_adapters
from gateway.testing.memory import MemoryTables
from identity.keys.record import new_key

from .credentials import ask, bearer, guarded_site, key, token, unchanged, waiting_run
from .memory_site import NOW, Site
from .over_http import problem

ROUTES = sorted(ROUTE_RIGHTS)
NOT_A_RIGHT = {401, 403}


@pytest_asyncio.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials."""
    async with guarded_site(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest_asyncio.fixture
async def run_id(site: Site) -> UUID:
    """Let a run of rita's wait for a person, for one row."""
    return await waiting_run(site)


@pytest_asyncio.fixture
async def own_site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a gateway of the test's own, with one run of rita's."""
    async with guarded_site(tmp_path) as running:
        yield running


def test_every_route_has_a_row(site_routes: list[tuple[str, str]]) -> None:
    """A route without one is refused to everybody while authentication is on; here it fails before."""
    unruled = {(method, path) for method, path in site_routes if path not in PUBLIC and not is_public(path)}
    assert unruled == set(ROUTE_RIGHTS)


@pytest.fixture
def site_routes(tmp_path: Path) -> list[tuple[str, str]]:
    """Give every route of the application: method and template."""

    async def nothing(_: object) -> None:
        return None

    app = create_app(
        Settings(_env_file=None, data_dir=tmp_path), memory_adapters(MemoryBroker(nothing), MemoryTables())
    )
    return list(methods_of(app.router.routes))


def methods_of(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Go through the routes, those of included routers too."""
    for route in routes:
        if isinstance(route, Route):
            yield from ((method, route.path) for method in route.methods or () if method != "HEAD")
        else:
            yield from methods_of(vars(route)["original_router"].routes)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_a_role_gets_what_its_rights_say(site: Site, run_id: UUID, route: tuple[str, str], role: Role) -> None:
    """The same for a key and for a token: neither says more than the other."""
    right = ROUTE_RIGHTS[route]
    of_rita = right in (Right.READ, Right.COMMENT, Right.CANCEL) and role is Role.REQUESTER  # what is hers, she may
    subject = "rita" if of_rita else "zoe"
    for credential in (await key(site, subject, role), token(sub=subject, roles=[role.value])):
        if role in ROLES[right]:
            answer = await ask(site, route, credential, run_id)
            assert answer.status_code not in NOT_A_RIGHT, answer.text
        else:
            with unchanged(site):
                problem(await ask(site, route, credential, run_id), 403, "forbidden")


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_without_a_credential_that_holds_every_route_is_closed(
    site: Site, run_id: UUID, route: tuple[str, str]
) -> None:
    """None, an unknown one, an expired one, a revoked one, a forged one: 401, and the answer repeats nothing of it."""
    expired = await key(site, "ann", Role.ADMIN, expires_at=NOW - timedelta(seconds=1))
    revoked = await key(site, "ann", Role.ADMIN, revoked_at=NOW - timedelta(seconds=1))
    forged = jwt.encode(
        jwt.decode(token(), options={"verify_signature": False}), "another secret of 32 bytes or more", "HS256"
    )
    credentials = {
        None: "credential_missing",
        new_key().text: "credential_unknown",
        expired: "credential_expired",
        revoked: "credential_revoked",
        forged: "token_invalid",
        token(exp=int((NOW - timedelta(hours=1)).timestamp())): "credential_expired",
    }
    for credential, reason in credentials.items():
        with unchanged(site):
            document = problem(await ask(site, route, credential, run_id), 401, "unauthorized")
        assert document["reason"] == reason
        assert credential is None or credential not in str(document)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_a_credential_without_roles_opens_nothing_but_itself(
    site: Site, run_id: UUID, route: tuple[str, str]
) -> None:
    """It is known who asks, and that is all."""
    guest = await key(site, "guest")
    with unchanged(site):
        answer = await ask(site, route, guest, run_id)
    if route in WITHOUT_ROLE:
        assert answer.status_code not in NOT_A_RIGHT
    else:
        problem(answer, 403, "forbidden")


@pytest.mark.parametrize("route", [route for route in ROUTES if "{run_id}" in route[1]], ids=" ".join)
async def test_a_foreign_tenants_run_is_not_found(site: Site, run_id: UUID, route: tuple[str, str]) -> None:
    """Not even that it exists is told, to an administrator of another tenant."""
    eve = await key(site, "eve", Role.ADMIN, tenant="elsewhere")
    with unchanged(site):
        problem(await ask(site, route, eve, run_id), 404, "run_not_found")


@pytest.mark.parametrize("path", ["/hitl/runs", "/hitl/approvals"])
async def test_lists_hold_ones_own_tenant_alone(own_site: Site, path: str) -> None:
    """And of it what one may see: a requester its own runs."""

    async def seen(credential: str) -> int:
        return len((await own_site.http.get(path, headers=bearer(credential))).json()["items"])

    assert await seen(await key(own_site, "ann", Role.REVIEWER)) == 1
    assert await seen(await key(own_site, "audrey", Role.AUDITOR)) == 1
    assert await seen(await key(own_site, "rita", Role.REQUESTER)) == 1
    assert await seen(await key(own_site, "robert", Role.REQUESTER)) == 0
    assert await seen(await key(own_site, "eve", Role.ADMIN, tenant="elsewhere")) == 0


@pytest.mark.parametrize(
    "route", [("GET", RUN), ("GET", f"{RUN}/history"), ("GET", f"{RUN}/events"), ("POST", f"{RUN}/cancel")]
)
async def test_a_requester_reads_and_cancels_its_own_runs_alone(
    site: Site, run_id: UUID, route: tuple[str, str]
) -> None:
    """Another's is there, and refused."""
    robert = await key(site, "robert", Role.REQUESTER)
    with unchanged(site):
        problem(await ask(site, route, robert, run_id), 403, "forbidden")


@pytest.mark.parametrize("path", sorted(PUBLIC))
async def test_probes_metrics_and_documents_need_no_credential(site: Site, path: str) -> None:
    """They say nothing of any run."""
    assert (await site.http.get(path)).status_code in (200, 503)


async def test_who_decides_is_who_the_credential_says(site: Site, run_id: UUID) -> None:
    """A name in the body is refused, and named; the decision has the credential's."""
    headers = bearer(await key(site, "ann", Role.REVIEWER))
    path = f"/hitl/runs/{run_id}/approve"
    document = problem(await site.http.post(path, headers=headers, json={"actor": "bob"}), 422, "validation_failed")
    assert [issue["path"] for issue in document["issues"]] == ["/actor"]
    view = (await site.http.post(path, headers=headers, json={})).json()
    assert (view["last_approval"]["actor"], view["requested_by"]) == ("ann", "rita")


async def test_an_idempotency_key_is_its_givers(site: Site) -> None:
    """Another's request under the same key is another request: it gets no answer that is not its own."""
    bodies = {"Idempotency-Key": "k"}
    answers = [
        await site.http.post("/hitl/runs", headers=bodies | bearer(credential), json={"prompt": "x"})
        for credential in (await key(site, "rita", Role.REQUESTER), await key(site, "robert", Role.REQUESTER))
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["run_id"] != answers[1].json()["run_id"]


@pytest.mark.parametrize("route", sorted(WITHOUT_ROLE), ids=" ".join)
async def test_what_needs_no_role_needs_no_scope_either(site: Site, run_id: UUID, route: tuple[str, str]) -> None:
    """Each credential reads what it is, and signs out."""
    narrow = await key(site, "adam", Role.ADMIN, scopes=("runs:start",))
    assert (await ask(site, route, narrow, run_id)).status_code not in NOT_A_RIGHT


@pytest.mark.parametrize("route", sorted({*ROUTES} - WITHOUT_ROLE), ids=" ".join)
async def test_scopes_narrow_what_roles_allow(site: Site, run_id: UUID, route: tuple[str, str]) -> None:
    """Of an administrator too: a scope opens the routes of its right, and no others. The same for keys and tokens."""
    right = ROUTE_RIGHTS[route]
    others = tuple(one for one in Right if one is not right)
    opening = await key(site, "adam", Role.ADMIN, scopes=(right,))
    narrow = [await key(site, "adam", Role.ADMIN, scopes=scopes) for scopes in (others, (f"{right}:later",))]
    with unchanged(site):
        for credential in narrow:
            problem(await ask(site, route, credential, run_id), 403, "forbidden")
        asked = await ask(site, route, token(roles=["admin"], scope=f"openid {' '.join(others)}"), run_id)
        assert "its scopes: runs:" in problem(asked, 403, "forbidden")["detail"]
    for credential in (opening, token(roles=["admin"], scope=right)):
        answer = await ask(site, route, credential, run_id)
        assert answer.status_code not in NOT_A_RIGHT, answer.text


async def test_who_one_is(site: Site) -> None:
    """As the key says it."""
    credential = await key(site, "ann", Role.REVIEWER, groups=("legal",), name="Ann's laptop")
    me = (await site.http.get("/me", headers=bearer(credential))).json()
    assert me == {
        "tenant": "default",
        "subject": "ann",
        "name": "Ann's laptop",
        "kind": "person",
        "roles": ["reviewer"],
        "groups": ["legal"],
        "scopes": [],
    }


async def test_while_the_database_is_unavailable_it_is_not_known_who_asks(own_site: Site) -> None:
    """503, and not 401: the key may be a good one."""
    credential = await key(own_site, "ann", Role.ADMIN)
    own_site.keys.unavailable = True
    problem(await own_site.http.get("/me", headers=bearer(credential)), 503, "unavailable")
