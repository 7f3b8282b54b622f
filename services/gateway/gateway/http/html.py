"""What all pages share: the headers that keep foreign scripts out, and the files that ship with a package."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path

from fastapi.responses import FileResponse, Response

_POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action {}; frame-ancestors 'none'"
_SCRIPTS = "; script-src 'self'; connect-src 'self'"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Under `no-referrer` a browser sends our own forms with `Origin: null`, which the access guard refuses.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page(html: str, status: int = 200, *, scripts: bool = False, forms: bool = False, **headers: str) -> Response:
    """Return a page that no other page may frame. Without `scripts` it runs none, without `forms` it sends none."""
    allowed = _POLICY.format("'self'" if forms else "'none'")
    policy = {"Content-Security-Policy": allowed + (_SCRIPTS if scripts else "")}
    return Response(html, status, {**_HEADERS, **policy, "Cache-Control": "no-store", **headers}, "text/html")


def shipped_file(package: str, name: str, media_type: str) -> Response:
    """Return a file in the folder `static` of an installed package."""
    path = Path(str(files(package))) / "static" / name
    return FileResponse(path, headers={"X-Content-Type-Options": "nosniff"}, media_type=media_type)


def sign_out_form(csrf_token: str | None) -> str:
    """Return the form that ends a session, or nothing where there is none."""
    if csrf_token is None:
        return ""
    return (
        '<form method="post" action="/signout"><input type="hidden" name="csrf_token" '
        f'value="{escape(csrf_token)}"><button class="plain">Sign out</button></form>'
    )
