"""The pages of the gateway: what waits, and the documents. They load nothing from elsewhere and run no script but ours."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from contracts.topics import EVENTS
from testkit.runs.commands import prepared, start
from testkit.runs.histories import history_of
from testkit.runs.specification import Story, given

from .memory_site import NOW, Site, memory_site
from .stories import FINISHED

EVIL = "<script>alert(1)</script> & \u202e<img src=x onerror=alert(2)>"


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """Run a gateway in memory."""
    async with memory_site() as running:
        yield running


def waiting(prompt: str = "a red bicycle", seconds: float = 3600) -> Story:
    """Return a run that waits at its payload review, from two hours before the gateway's time on."""
    begun = start({"prompt": prompt}, allowed_steps=("payload_review",), timeout_seconds=seconds)
    return given(begun, prepared(payload={"prompt": prompt}))


async def tell_another(site: Site) -> str:
    """Publish a run of its own, with a checkpoint of its own; return its id."""
    story, run_id, checkpoint_id = waiting(), uuid4(), str(uuid4())
    known = str(story.checkpoint_id).encode()
    values = [value.replace(known, checkpoint_id.encode()) for value in history_of(story, run_id)]
    for value in values:
        site.tables.append(value)
    await site.orchestrator.broker.deliver(EVENTS, *values)
    return str(run_id)


async def test_nothing_waits(site: Site) -> None:
    """The page says so, and asks again by itself."""
    await site.orchestrator.tell(FINISHED)
    answer = await site.http.get("/")
    assert answer.status_code == 200
    assert "Nothing waits" in answer.text
    assert '<meta http-equiv="refresh"' in answer.text


async def test_each_row_says_what_waits_and_leads_to_its_run(site: Site) -> None:
    """The step, what is asked and by whom, why a person looks, and the time that is left."""
    run_id = await site.orchestrator.tell(waiting("a red bicycle"))
    text = (await site.http.get("/")).text
    assert f'href="/hitl/runs/{run_id}"' in text
    for told in ("payload review", "a red bicycle", "u1 / s1", "sandbox", "1 waiting"):
        assert told in text
    checkpoint = (await site.http.get(f"/hitl/runs/{run_id}")).json()["checkpoint"]
    assert checkpoint["expires_at"][:19] in text


@pytest.mark.parametrize(
    ("minutes", "left"),
    [(-1, "time is up"), (0.5, "under a minute"), (12, "12 min"), (119, "2 h"), (47 * 60, "47 h"), (72 * 60, "3 days")],
)
async def test_the_time_that_is_left_is_said(site: Site, minutes: float, left: str) -> None:
    """Until the run's limit, by the gateway's clock."""
    opened = waiting().now.view.updated_at
    await site.orchestrator.tell(waiting(seconds=(NOW - opened).total_seconds() + minutes * 60))
    assert f">{left}</time>" in (await site.http.get("/")).text


async def test_what_a_stranger_wrote_is_shown_as_text(site: Site) -> None:
    """No tag of it is one, and it turns the direction of no neighbour."""
    await site.orchestrator.tell(waiting(EVIL))
    text = (await site.http.get("/")).text
    assert "<script" not in text
    assert "<img" not in text
    assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt; &amp; \u202e&lt;img" in text


async def test_a_long_list_goes_on_behind_a_link(site: Site) -> None:
    """Page by page, as the list in JSON does."""
    runs = {await tell_another(site) for _ in range(3)}
    seen, path = set(), "/?limit=2"
    while path:
        text = (await site.http.get(path)).text
        seen |= set(re.findall(r'href="/hitl/runs/([0-9a-f-]{36})"', text))
        more = re.search(r'<a href="(/\?limit=2&amp;cursor=[^"]+)">More', text)
        path = more[1].replace("&amp;", "&") if more else ""
    assert seen == runs


async def test_an_unavailable_database_is_said_on_the_page(site: Site) -> None:
    """With the status of it, and the page asks again."""
    site.tables.unavailable = True
    answer = await site.http.get("/")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert "refresh" in answer.text


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_loads_nothing_from_elsewhere(site: Site, path: str) -> None:
    """Its policy lets no foreign script, style or frame in, its own files are served, and it names no other host."""
    answer = await site.http.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe|https?:|\*", policy)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "//" not in answer.text
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", answer.text)
    named = re.findall(r'(?:src|href)="(/docs/[^"]+)"', answer.text)
    assert named
    for name in named:
        served = await site.http.get(name)
        assert (served.status_code, served.headers["x-content-type-options"]) == (200, "nosniff")
        assert served.headers["content-type"].startswith(("text/javascript", "text/css"))


async def test_the_documents_are_shown_by_scripts_of_this_origin(site: Site) -> None:
    """Swagger UI itself is served here; a file that is none of the page's is not."""
    assert "SwaggerUIBundle" in (await site.http.get("/docs/swagger-ui-bundle.js")).text
    assert "/openapi.json" in (await site.http.get("/docs/documents.js")).text
    assert (await site.http.get("/openapi.json")).json()["info"]["title"] == "Sayso"
    for name in ("redoc.standalone.js", "..%2fhtml.py", "page.css%00", "nothing"):
        assert (await site.http.get(f"/docs/{name}")).status_code == 404
    assert (await site.http.get("/?state=created")).status_code == 422
