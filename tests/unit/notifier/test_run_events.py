"""The notifier's address of a run's stream redirects to the gateway's."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from notifier.edges.run_events import run_events_route


@pytest.mark.parametrize(
    ("asked", "location"),
    [
        ("http://127.0.0.1:8001/hitl/runs/7/events", "http://127.0.0.1:8000/hitl/runs/7/events"),
        (
            "http://sign.example:8001/hitl/runs/7/events?a=1&b=%20",
            "http://sign.example:8000/hitl/runs/7/events?a=1&b=%20",
        ),
        ("http://[::1]:8001/hitl/runs/7/events", "http://[::1]:8000/hitl/runs/7/events"),
        ("https://sign.example/hitl/runs/7%0d%0ax:/events", "https://sign.example:8000/hitl/runs/7%0D%0Ax%3A/events"),
    ],
)
async def test_a_stream_is_redirected_to_the_gateways_port(asked: str, location: str) -> None:
    """Host, path and query stay; the method too (307); no cache may keep it."""
    app = Starlette(routes=[run_events_route(8000)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        answer = await http.get(asked, headers={"Last-Event-ID": "3"})
    assert (answer.status_code, answer.headers["location"]) == (307, location)
    assert answer.headers["cache-control"] == "no-store"
