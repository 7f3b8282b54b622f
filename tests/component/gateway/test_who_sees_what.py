"""Who sees which runs over HTTP: single reads, histories, streams and lists say the same of each run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
import pytest_asyncio

from contracts.identity import Principal
from contracts.topics import EVENTS
from testkit.runs.commands import approve, executed, prepared, start
from testkit.runs.histories import history_of
from testkit.runs.people import ADAM, ANN, AUDREY, BO, CY, RITA, ROBERT, principal
from testkit.runs.specification import Story, given
from testkit.runs.tasks import by, claim, comment, delegate, under

from .memory_site import NOW, Site, memory_site
from .over_http import problem

SECRET = "a-secret-of-the-issuer-32-bytes-or-more"  # noqa: S105 - it is one in name only
TOKENS: dict[str, Any] = {"jwt_secret": SECRET, "jwt_issuer": "https://issuer.example", "jwt_audience": "sayso"}
RULES = {"candidates": {"users": ["ann"], "groups": ["legal"]}}
EVE = principal("eve", *ADAM.roles, tenant="elsewhere")
BOTH = principal("rita", *ANN.roles, *RITA.roles)


def auto() -> Story:
    """Return a run of rita's that asks no person."""
    return given(start(policy="auto").but(principal=RITA, actor="rita"), prepared(), executed())


STORIES: dict[str, tuple[Story, set[str]]] = {
    "for every reviewer": (under({}), {"ann", "bo", "cy", "rita"}),
    "for ann and legal": (under(RULES), {"ann", "bo", "rita"}),
    "for legal, earlier": (under(RULES).given(by(BO, approve()), executed()), {"ann", "bo", "rita"}),
    "delegated to cy": (under(RULES).given(by(ANN, claim()), by(ANN, delegate("cy"))), {"ann", "bo", "cy", "rita"}),
    "by robert, for ann": (under({"candidates": {"users": ["ann"]}}, by=ROBERT), {"ann", "robert"}),
    "commented by robert": (under(RULES, by=ROBERT).given(by(ROBERT, comment())), {"ann", "bo", "robert"}),
    "for nobody": (auto(), {"rita"}),
}
"""Runs, and who reads each beside those who read all."""


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials."""
    async with memory_site(auth="on", data_dir=tmp_path, **TOKENS) as running:
        yield running


async def get(site: Site, path: str, who: Principal, method: str = "GET") -> httpx.Response:
    """Ask as a person."""
    claims = {
        "iss": TOKENS["jwt_issuer"],
        "aud": TOKENS["jwt_audience"],
        "sub": who.subject,
        "tenant": who.tenant,
        "roles": [role.value for role in who.roles],
        "groups": list(who.groups),
        "exp": int((NOW + timedelta(hours=1)).timestamp()),
    }
    headers = {"Authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}
    return await site.http.request(method, path, headers=headers)


async def listed(site: Site, path: str, who: Principal) -> set[UUID]:
    """Return the runs of a list."""
    return {UUID(item["run_id"]) for item in (await get(site, path, who)).json()["items"]}


@pytest.mark.parametrize("name", STORIES)
async def test_a_run_is_shown_to_who_may_read_it_on_every_way(site: Site, name: str) -> None:
    """Its view, its history, its stream, and both lists; to others it is refused, and a foreign tenant does not find it."""
    story, readers = STORIES[name]
    run_id = await site.orchestrator.tell(story)
    waits = story.now.view.checkpoint is not None
    for who in (ANN, BO, CY, RITA, ROBERT, BOTH, ADAM, AUDREY, principal("stranger", *ANN.roles), EVE):
        reads = who in (ADAM, AUDREY) or who.subject in readers
        reads = reads or (name == "for every reviewer" and who.subject == "stranger")
        for part, method in (("", "GET"), ("/history", "GET"), ("/events", "HEAD")):
            answer = await get(site, f"/hitl/runs/{run_id}{part}", who, method)
            if who is EVE:
                assert answer.status_code == 404
            else:
                assert answer.status_code == (200 if reads else 403), (who.subject, part)
        assert await listed(site, "/hitl/runs", who) == ({run_id} if reads else set())
        assert await listed(site, "/hitl/approvals", who) == ({run_id} if reads and waits else set())


async def test_a_refusal_says_nothing_of_the_run(site: Site) -> None:
    """It is there, and that is all."""
    run_id = await site.orchestrator.tell(under(RULES))
    for part in ("", "/history", "/events", "?min_version=1"):
        document = problem(await get(site, f"/hitl/runs/{run_id}{part}", CY), 403, "forbidden")
        assert "bicycle" not in str(document)
        assert "ann" not in document["detail"]


async def test_the_page_of_what_waits_shows_what_one_may_read(site: Site) -> None:
    """A link to each run, and to no other."""
    run_id = await site.orchestrator.tell(under(RULES))
    assert str(run_id) in (await get(site, "/", ANN)).text
    assert str(run_id) not in (await get(site, "/", CY)).text


async def test_mine_is_what_concerns_the_caller(site: Site) -> None:
    """Claimed, assigned or named; a group names no person."""
    run_id = await site.orchestrator.tell(under(RULES).given(by(BO, claim())))
    for who, reads in ((ANN, {run_id}), (BO, {run_id}), (principal("lee", *ANN.roles, groups=("legal",)), set())):
        assert await listed(site, "/hitl/approvals?mine=true", who) == reads
        assert await listed(site, "/hitl/approvals?mine=false", who) == {run_id}


async def test_while_authentication_is_off_everything_is_seen(tmp_path: Path) -> None:
    """But it is not known whose anything is."""
    async with memory_site(data_dir=tmp_path) as site:
        run_id = await site.orchestrator.tell(under(RULES))
        assert (await site.http.get(f"/hitl/runs/{run_id}")).status_code == 200
        page = (await site.http.get("/hitl/approvals")).json()
        assert ([item["run_id"] for item in page["items"]], page["next_cursor"], page["total"]) == (
            *([str(run_id)], None, 1),
        )
        document = problem(await site.http.get("/hitl/approvals?mine=true"), 422, "validation_failed")
        assert [(issue["path"], issue["code"]) for issue in document["issues"]] == [("/mine", "caller_unknown")]


@pytest_asyncio.fixture(scope="module")
async def open_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run a gateway without authentication, for all requests that are refused."""
    async with memory_site(data_dir=tmp_path_factory.mktemp("gateway")) as running:
        yield running


BAD: list[tuple[str, str, str]] = [
    *(
        (f"claimant={value}", "/claimant", code)
        for value, code in (("", "string_too_short"), ("x" * 201, "string_too_long"))
    ),
    ("claimant=a%00b", "/claimant", "string_pattern_mismatch"),
    *((f"priority_min={value}", "/priority_min", "int_parsing") for value in ("", "high", "1.5", "1e2")),
    ("priority_min=-1", "/priority_min", "greater_than_equal"),
    ("priority_min=101", "/priority_min", "less_than_equal"),
    (f"priority_min={'9' * 400}", "/priority_min", "less_than_equal"),
    *(
        (urlencode({"due_before": value}), "/due_before", "time_malformed")
        for value in ("", "soon", "7", "2026-03-02", "2026-03-02T12:00:00", "0001-01-01T00:00:00+14:00")
    ),
    (urlencode({"due_before": "2026-13-02T12:00:00Z"}), "/due_before", "datetime_from_date_parsing"),
    ("q=", "/q", "string_too_short"),
    (f"q={'x' * 201}", "/q", "string_too_long"),
    ("q=%21%21%00", "/q", "words_missing"),
    *((f"mine={value}", "/mine", "bool_parsing") for value in ("", "me", "2")),
    *((f"sort={value}", "/sort", "literal_error") for value in ("", "age", "due,priority", "DUE")),
    *((f"order={value}", "/order", "literal_error") for value in ("", "up", "ASC")),
    *((f"follow_up={value}", "/follow_up", "literal_error") for value in ("", "none", "true")),
    *((f"cursor={value}", "/cursor", "cursor_malformed") for value in ("", "x", "AAAA", "%00", "MjAyNg")),
    (f"cursor={'x' * 1001}", "/cursor", "string_too_long"),
    *(
        (f"{name}=1&{name}=1", f"/{name}", "repeated")
        for name in ("claimant", "priority_min", "due_before", "q", "mine", "sort", "order", "follow_up")
    ),
    ("priority_max=1", "/priority_max", "extra_forbidden"),
    ("due_after=2026-03-02T12:00:00Z", "/due_after", "extra_forbidden"),
    ("Sort=due", "/Sort", "extra_forbidden"),
]


@pytest.mark.parametrize(("query", "path", "code"), BAD, ids=[query[:40] for query, _, _ in BAD])
async def test_a_parameter_that_is_none_is_named(open_site: Site, query: str, path: str, code: str) -> None:
    """Empty, huge, of another type, twice or unknown: refused with its place, and nothing is listed."""
    document = problem(await open_site.http.get(f"/hitl/approvals?{query}"), 422, "validation_failed")
    assert {(issue["path"], issue["code"], issue["in"]) for issue in document["issues"]} == {(path, code, "query")}


async def test_an_unknown_parameter_is_told_the_nearest_known_one(open_site: Site) -> None:
    """As a member of a body is."""
    document = problem(await open_site.http.get("/hitl/approvals?priority=7"), 422, "validation_failed")
    assert document["detail"] == "/priority: no such name; did you mean `priority_min`?"


async def test_a_cursor_belongs_to_its_list(site: Site) -> None:
    """To its tenant, filters and order: another's is refused as one that is malformed; the page's size may change."""
    other = principal("eva", *ADAM.roles, tenant="elsewhere")
    await fill_three(site)
    for sort in ("opened", "due", "priority"):
        path = f"/hitl/approvals?limit=1&sort={sort}&session_id=s1"
        cursor = (await get(site, path, ADAM)).json()["next_cursor"]
        assert (await get(site, f"{path}&cursor={cursor}", AUDREY)).status_code == 200
        assert (await get(site, f"/hitl/approvals?limit=7&sort={sort}&session_id=s1&cursor={cursor}", ADAM)).is_success
        for wrong in (
            f"sort={sort}&session_id=s1&order={'asc' if sort == 'priority' else 'desc'}",
            f"sort={'due' if sort != 'due' else 'opened'}&session_id=s1",
            f"sort={sort}&session_id=s2",
            f"sort={sort}",
            f"sort={sort}&session_id=s1&follow_up=all",
        ):
            await malformed(await get(site, f"/hitl/approvals?{wrong}&cursor={cursor}", ADAM))
        await malformed(await get(site, f"{path}&cursor={cursor}", other))


async def malformed(answer: httpx.Response) -> None:
    """Expect that a cursor was refused."""
    assert [issue["code"] for issue in problem(answer, 422, "validation_failed")["issues"]] == ["cursor_malformed"]


async def fill_three(site: Site) -> None:
    """Let three runs of session s1 wait."""
    for _ in range(3):
        records = history_of(under({"priority": 70, "due_seconds": 60}), uuid4())
        for record in records:
            site.tables.append(record)
        await site.orchestrator.broker.deliver(EVENTS, *records)
