"""`/`: what waits for a person, as a plain page that is made here and runs no script. It shows, and decides nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from contracts.runs.views import RunView
from gateway.errors import DatabaseUnavailable
from gateway.http.caller import Caller, caller_of
from gateway.http.html import page, sign_out_form
from gateway.http.parameters import WaitingPaged
from gateway.ports import Now, Views
from gateway.projection.waiting_list import WaitingFilters

REFRESH_SECONDS = 10
MOST_CHARACTERS = 160
"""Of what is asked for; the run's own document has the rest."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{refresh}">
<title>Sayso: {title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/page.css">
<body>
<h1>What waits for a person</h1>
{content}
<nav class="quiet"><a href="/docs">The API</a><a href="/hitl/approvals">This list as JSON</a><a href="/hitl/runs">All runs</a>{sign_out}</nav>
</body>
</html>
"""
_TABLE = """<table>
<thead><tr><th>Step</th><th>What is asked</th><th>By</th><th>Provider</th><th>Why</th><th>Time left</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def inbox_router(views: Views, now: Now) -> APIRouter:
    """Return the route of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def read_inbox(request: Request, which: Annotated[WaitingPaged, Query()]) -> Response:
        """Show the open checkpoints, the longest waiting first, each with a link to its run."""
        caller = caller_of(request)
        try:
            after, filters = which.place(caller.tenant), WaitingFilters(follow_up_by=now())
            waiting = await views.pending(caller.tenant, which.limit, after, filters, reader=caller.reader)
        except DatabaseUnavailable:
            told = "<p>PostgreSQL does not answer just now. This page asks again by itself.</p>"
            return _page("not available", told, caller, status=503)
        runs = [RunView.model_validate_json(view) for view in waiting.views]
        cursor = which.cursor_of(caller.tenant, waiting.end)
        return _page(f"{len(runs)} waiting", _listed(runs, cursor, which.limit, now()), caller)

    return router


def _page(title: str, content: str, caller: Caller, status: int = 200) -> Response:
    sign_out = sign_out_form(caller.csrf_token)
    html = _PAGE.format(refresh=REFRESH_SECONDS, title=title, content=content, sign_out=sign_out)
    return page(html, status, forms=bool(sign_out))


def _listed(runs: Sequence[RunView], cursor: str | None, limit: int, now: datetime) -> str:
    if not runs:
        return "<p>Nothing waits. A run that stops for a person appears here.</p>"
    table = _TABLE.format(rows="\n".join(_row(run, now) for run in runs))
    return table + (f'<p><a href="/?limit={limit}&amp;cursor={cursor}">More</a></p>' if cursor else "")


def _row(run: RunView, now: datetime) -> str:
    checkpoint = run.checkpoint
    assert checkpoint is not None, "only runs with an open checkpoint are listed"
    who = " / ".join(name for name in (run.user_id, run.session_id) if name)
    provider = " ".join(name for name in (run.provider, run.model) if name)
    why = "; ".join(reason.message for reason in checkpoint.reasons)
    seconds = (checkpoint.expires_at - now).total_seconds()
    paused = " (paused)" if run.paused else ""
    return (
        f'<tr><td><a href="/hitl/runs/{run.run_id}">{_text(checkpoint.step.value.replace("_", " "))}</a>{paused}</td>'
        f'<td class="what">{_text(_asked(checkpoint.subject))}</td><td>{_text(who)}</td><td>{_text(provider)}</td>'
        f'<td>{_text(why)}</td><td class="left"><time datetime="{checkpoint.expires_at.isoformat()}">{_left(seconds)}</time></td></tr>'
    )


def _asked(subject: dict[str, Any]) -> str:
    """Return the subject in a line: its prompt or text, or its JSON."""
    told = next((subject[name] for name in ("prompt", "text", "message") if isinstance(subject.get(name), str)), None)
    text = " ".join((told or json.dumps(subject, ensure_ascii=False)).split())
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _text(text: str) -> str:
    """Return a text that a stranger may have written: as text, and without a say on the direction of what stands around it."""
    return f"<bdi>{escape(text)}</bdi>"


def _left(seconds: float) -> str:
    if seconds <= 0:
        return "time is up"
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 1:
        return "under a minute"
    if hours < 1:
        return f"{minutes:.0f} min"
    return f"{hours:.0f} h" if days < 2 else f"{days:.0f} days"  # noqa: PLR2004 - hours say more of tomorrow
