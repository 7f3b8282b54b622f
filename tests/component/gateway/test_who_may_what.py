"""Who may ask what over HTTP: every route for every role, made from the routes themselves, so that a new one without a row fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
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
from identity.api_keys import KeyRecord, new_key
from testkit.runs.commands import prepared, start
from testkit.runs.people import RITA
from testkit.runs.specification import given

from .memory_site import NOW, Site, memory_site
from .over_http import problem

SECRET = "a-secret-of-the-issuer-32-bytes-or-more"  # noqa: S105 - it is one in name only
TOKENS: dict[str, Any] = {"jwt_secret": SECRET, "jwt_issuer": "https://issuer.example", "jwt_audience": "sayso"}
ROUTES = sorted(ROUTE_RIGHTS)
NOT_A_RIGHT = {401, 403}


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials, with a run of rita's that waits for a person."""
    async with memory_site(auth="on", data_dir=tmp_path, **TOKENS) as running:
        await running.announce()
        await running.orchestrator.tell(given(start(allowed_steps=("payload_review",)).but(principal=RITA), prepared()))
        yield running


async def key(site: Site, subject: str, *roles: Role, **members: Any) -> str:
    """Make a key and return its text."""
    made = new_key()
    known: dict[str, Any] = {
        "id": uuid4(),
        "tenant": "default",
        "name": subject,
        "subject": subject,
        "kind": "person",
        "roles": roles,
        "groups": (),
        "owner": None,
        "prefix": made.prefix,
        "created_at": NOW,
        "created_by": "test",
    }
    await site.keys.add(KeyRecord(**{**known, **members}), made.sha256)
    return made.text


def token(**claims: Any) -> str:
    """Return a token of the issuer."""
    known = {
        "iss": TOKENS["jwt_issuer"],
        "aud": TOKENS["jwt_audience"],
        "sub": "ann",
        "tenant": "default",
        "roles": ["reviewer"],
        "exp": int((NOW + timedelta(hours=1)).timestamp()),
    }
    return jwt.encode({**known, **claims}, SECRET, "HS256")


BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/hitl/runs"): {"prompt": "x"},
    ("POST", "/hitl/run"): {"prompt": "x"},
    ("POST", f"{RUN}/edit"): {"edits": {"temperature": 1}},
    ("POST", f"{RUN}/assign"): {"to": {"user": "bo"}},
    ("POST", f"{RUN}/delegate"): {"to": {"user": "bo"}},
    ("POST", f"{RUN}/comments"): {"text": "why?"},
    ("PUT", f"{RUN}/comments/{{comment_id}}"): {"text": "why?"},
    ("PUT", f"{RUN}/draft"): {"action": "approve"},
    ("POST", "/hitl/approvals/bulk"): {
        "action": "approve",
        "items": [{"run_id": str(UUID(int=1)), "checkpoint_id": str(UUID(int=1)), "subject_sha256": "0" * 64}],
    },
    ("POST", "/admin/api-keys"): {"name": "n", "subject": "s", "roles": ["reviewer"]},
}


async def ask(site: Site, route: tuple[str, str], credential: str | None) -> httpx.Response:
    """Ask a route for something that is there, under a credential."""
    method, template = route
    run_id = next(iter(site.tables.rows))
    path = template.format(run_id=run_id, sha256="0" * 64, name="sandbox", key_id=UUID(int=1), comment_id=UUID(int=1))
    headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    if template.endswith("/events"):  # a stream that is not refused does not end, but with its head
        head = await site.http.head(path, headers=headers)
        if head.is_success:
            return head
    body = BODIES.get(route, {}) if method in ("POST", "PUT") else None
    return await site.http.request(method, path, headers=headers, json=body)


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
async def test_a_role_gets_what_its_rights_say(site: Site, route: tuple[str, str], role: Role) -> None:
    """The same for a key and for a token: neither says more than the other."""
    right = ROUTE_RIGHTS[route]
    of_rita = right in (Right.READ, Right.COMMENT, Right.CANCEL) and role is Role.REQUESTER  # what is hers, she may
    subject = "rita" if of_rita else "zoe"
    for credential in (await key(site, subject, role), token(sub=subject, roles=[role.value])):
        answer = await ask(site, route, credential)
        if role in ROLES[right]:
            assert answer.status_code not in NOT_A_RIGHT, answer.text
        else:
            problem(answer, 403, "forbidden")


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_without_a_credential_that_holds_every_route_is_closed(site: Site, route: tuple[str, str]) -> None:
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
        document = problem(await ask(site, route, credential), 401, "unauthorized")
        assert document["reason"] == reason
        assert credential is None or credential not in str(document)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_a_credential_without_roles_opens_nothing_but_itself(site: Site, route: tuple[str, str]) -> None:
    """It is known who asks, and that is all."""
    answer = await ask(site, route, await key(site, "guest"))
    if route in WITHOUT_ROLE:
        assert answer.status_code not in NOT_A_RIGHT
    else:
        problem(answer, 403, "forbidden")


@pytest.mark.parametrize("route", [route for route in ROUTES if "{run_id}" in route[1]], ids=" ".join)
async def test_a_foreign_tenants_run_is_not_found(site: Site, route: tuple[str, str]) -> None:
    """Not even that it exists is told, to an administrator of another tenant."""
    answer = await ask(site, route, await key(site, "eve", Role.ADMIN, tenant="elsewhere"))
    problem(answer, 404, "run_not_found")


@pytest.mark.parametrize("path", ["/hitl/runs", "/hitl/approvals"])
async def test_lists_hold_ones_own_tenant_alone(site: Site, path: str) -> None:
    """And of it what one may see: a requester its own runs."""

    async def seen(credential: str) -> int:
        return len((await site.http.get(path, headers={"Authorization": f"Bearer {credential}"})).json()["items"])

    assert await seen(await key(site, "ann", Role.REVIEWER)) == 1
    assert await seen(await key(site, "audrey", Role.AUDITOR)) == 1
    assert await seen(await key(site, "rita", Role.REQUESTER)) == 1
    assert await seen(await key(site, "robert", Role.REQUESTER)) == 0
    assert await seen(await key(site, "eve", Role.ADMIN, tenant="elsewhere")) == 0


@pytest.mark.parametrize(
    "route", [("GET", RUN), ("GET", f"{RUN}/history"), ("GET", f"{RUN}/events"), ("POST", f"{RUN}/cancel")]
)
async def test_a_requester_reads_and_cancels_its_own_runs_alone(site: Site, route: tuple[str, str]) -> None:
    """Another's is there, and refused."""
    problem(await ask(site, route, await key(site, "robert", Role.REQUESTER)), 403, "forbidden")


@pytest.mark.parametrize("path", sorted(PUBLIC))
async def test_probes_metrics_and_documents_need_no_credential(site: Site, path: str) -> None:
    """They say nothing of any run."""
    assert (await site.http.get(path)).status_code in (200, 503)


async def test_who_decides_is_who_the_credential_says(site: Site) -> None:
    """A name in the body is refused, and named; the decision has the credential's."""
    run_id = next(iter(site.tables.rows))
    headers = {"Authorization": f"Bearer {await key(site, 'ann', Role.REVIEWER)}"}
    path = f"/hitl/runs/{run_id}/approve"
    document = problem(await site.http.post(path, headers=headers, json={"actor": "bob"}), 422, "validation_failed")
    assert [issue["path"] for issue in document["issues"]] == ["/actor"]
    view = (await site.http.post(path, headers=headers, json={})).json()
    assert (view["last_approval"]["actor"], view["requested_by"]) == ("ann", "rita")


async def test_an_idempotency_key_is_its_givers(site: Site) -> None:
    """Another's request under the same key is another request: it gets no answer that is not its own."""
    bodies = {"Idempotency-Key": "k"}
    answers = [
        await site.http.post(
            "/hitl/runs", headers={**bodies, "Authorization": f"Bearer {credential}"}, json={"prompt": "x"}
        )
        for credential in (await key(site, "rita", Role.REQUESTER), await key(site, "robert", Role.REQUESTER))
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["run_id"] != answers[1].json()["run_id"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda text: f"/hitl/runs?api_key={text}", "credential_missing"),
        (lambda text: f"/hitl/runs?access_token={text}", "credential_missing"),
    ],
)
async def test_a_key_in_the_address_is_no_credential(site: Site, wrong: Callable[[str], str], reason: str) -> None:
    """Addresses are logged and remembered."""
    text = await key(site, "ann", Role.ADMIN)
    document = problem(await site.http.get(wrong(text)), 401, "unauthorized")
    assert document["reason"] == reason
    assert text not in str(document)


async def test_two_credentials_are_none(site: Site) -> None:
    """Readers would differ on which one counts."""
    fields = [("Authorization", f"Bearer {await key(site, 'ann', Role.ADMIN)}") for _ in range(2)]
    assert problem(await site.http.get("/me", headers=fields), 401, "unauthorized")["reason"] == "credential_malformed"


async def test_who_one_is(site: Site) -> None:
    """As the key says it."""
    credential = await key(site, "ann", Role.REVIEWER, groups=("legal",), name="Ann's laptop")
    me = (await site.http.get("/me", headers={"Authorization": f"Bearer {credential}"})).json()
    assert me == {
        "tenant": "default",
        "subject": "ann",
        "name": "Ann's laptop",
        "kind": "person",
        "roles": ["reviewer"],
        "groups": ["legal"],
    }


async def test_while_the_database_is_away_it_is_not_known_who_asks(site: Site) -> None:
    """503, and not 401: the key may be a good one."""
    credential = await key(site, "ann", Role.ADMIN)
    site.keys.unavailable = True
    problem(await site.http.get("/me", headers={"Authorization": f"Bearer {credential}"}), 503, "unavailable")
