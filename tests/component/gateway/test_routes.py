"""The gateway's routes, whatever they lead to: which paths, methods and parameters they take, and the count of them."""

from __future__ import annotations

from uuid import uuid4

import pytest

from testkit.stack.user import User

from .over_http import PAYLOAD, problem


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/hitl/runs?stat=created", ["/stat"]),
        ("/hitl/runs?state=waiting", ["/state"]),
        ("/hitl/runs?limit=0", ["/limit"]),
        ("/hitl/runs?limit=201", ["/limit"]),
        ("/hitl/runs?limit=ten", ["/limit"]),
        ("/hitl/runs?cursor=abc", ["/cursor"]),
        ("/hitl/runs?session_id=%00", ["/session_id"]),
        ("/hitl/runs?user_id=", ["/user_id"]),
        ("/hitl/runs?session_id=" + "x" * 201, ["/session_id"]),
        ("/hitl/approvals?step=lunch&group=%0a", ["/step", "/group"]),
        ("/hitl/approvals?state=created", ["/state"]),
        (f"/hitl/runs/{uuid4()}?version=1", ["/version"]),
        (f"/hitl/runs/{uuid4()}?min_version=0", ["/min_version"]),
        (f"/hitl/runs/{uuid4()}?min_version={2**64}", ["/min_version"]),
        (f"/hitl/runs/{uuid4()}/history?after=-1", ["/after"]),
        (f"/hitl/runs/{uuid4()}/history?limit=1001", ["/limit"]),
        (f"/hitl/runs/{uuid4()}/events?after=1", ["/after"]),
        (f"/hitl/artifacts/{'0' * 64}?download=1", ["/download"]),
        ("/providers?name=x", ["/name"]),
        ("/hitl/runs?state=created&state=failed", ["/state"]),
        ("/hitl/runs?limit=5&limit=5", ["/limit"]),
        ("/hitl/approvals?session_id=a&session_id=b&step=x", ["/session_id"]),
        (f"/hitl/runs/{uuid4()}?min_version=1&min_version=2", ["/min_version"]),
        (f"/hitl/runs/{uuid4()}/history?after=1&after=2", ["/after"]),
        ("/hitl/runs?session_id=a%E2%80%AEb", ["/session_id"]),
        ("/hitl/approvals?assignee=a%E2%80%A8b", ["/assignee"]),
    ],
)
async def test_a_bad_parameter_is_named(ada: User, path: str, names: list[str]) -> None:
    """422 at each, and that it is the query that is meant."""
    document = problem(await ada.http.get(path), 422, "validation_failed")
    assert [(issue["path"], issue["in"]) for issue in document["issues"]] == [(name, "query") for name in names]


async def test_the_providers_say_what_they_offer(ada: User) -> None:
    """All, one by its name, one by its tool's name, and none."""
    offers = {offer["provider"]: offer for offer in (await ada.http.get("/providers")).json()["items"]}
    assert (await ada.http.get("/providers/sandbox")).json() == offers["sandbox"]
    tool = offers["sandbox"]["tool_names"][0]
    assert (await ada.http.get(f"/providers/{tool}")).json() == offers["sandbox"]
    problem(await ada.http.get("/providers/nobody"), 404, "provider_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "/nothing", 404, "not_found", None),
        ("GET", "/hitl/runs/a/b/c", 404, "not_found", None),
        ("DELETE", "/hitl/runs", 405, "method_not_allowed", "GET, HEAD, POST"),
        ("GET", f"/hitl/runs/{uuid4()}/approve", 405, "method_not_allowed", "POST"),
        ("PUT", f"/hitl/runs/{uuid4()}", 405, "method_not_allowed", "GET, HEAD"),
    ],
)
async def test_what_no_route_takes_is_a_problem_too(
    ada: User, method: str, path: str, status: int, code: str, allow: str | None
) -> None:
    """With the methods that the path does take."""
    answer = await ada.http.request(method, path)
    problem(answer, status, code)
    assert answer.headers.get("allow") == allow


async def test_requests_are_counted_by_route_and_never_by_path(ada: User) -> None:
    """A metric's label is none of the infinitely many ids."""
    run_id = (await ada.start(hitl=PAYLOAD))["run_id"]
    await ada.post(run_id, "pause")
    metrics = (await ada.http.get("/metrics")).text
    line = 'sayso_gateway_requests_total{method="POST",route="/hitl/runs/{run_id}/pause",status="200"}'
    assert line in metrics
    assert run_id not in metrics
    for name in ("sayso_gateway_outcome_seconds_count", "sayso_projection_events_total"):
        assert name in metrics
