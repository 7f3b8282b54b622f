"""What a person without a role sees: who that is, and whom to ask."""

from __future__ import annotations

from html import escape

from starlette.responses import Response

from contracts.identity import Principal
from gateway.http.html import page, sign_out_form

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sayso: no role yet</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/page.css">
<body class="narrow">
<h1>You have no role yet</h1>
<p>You are signed in as <bdi>{who}</bdi>, and may not see anything here. Ask an administrator for a role, and sign in again.</p>
{sign_out}
</body>
</html>
"""


def role_page(principal: Principal, csrf_token: str | None) -> Response:
    """Return the page, with 403."""
    who = escape(principal.name or principal.subject)
    return page(_PAGE.format(who=who, sign_out=sign_out_form(csrf_token)), 403, forms=True)
