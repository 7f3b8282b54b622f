"""The lines that the terminal shows once the stack is ready: addresses, and the command that decides the sample run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from local_stack.credential import curl_option, short
from local_stack.services import Addresses

PRETTY = "python3 -m json.tool"
_NEXT = (
    "Then the call is made, and its answer waits for you in the same way.",
    "Then the run is completed: look again.",
)


class Site(NamedTuple):
    """Where the stack answers, where its data lie, and the file of its first key: None while authentication is off."""

    addresses: Addresses
    folder: Path
    key_file: Path | None
    key_is_refused: bool = False


def welcome(site: Site, sample: dict[str, Any] | None) -> str:
    """Return the lines; without a sample, the addresses alone."""
    gateway, socket, folder = site.addresses.http("gateway"), site.addresses.websocket(), site.folder
    places = {
        "API": f"{gateway}/docs",
        "waiting": f"{gateway}/hitl/approvals",
        "WebSocket": f"{socket}?user_id=you" if site.key_file is None else socket,
        "data, logs": f"{short(folder)}, {short(folder / 'logs')}",
        "a story": "make demo",
    }
    lines = [f"  {name:<11} {place}" for name, place in places.items()]
    if sample is not None:
        lines += ["", *_decide(site, sample)]
    return "\n".join([*lines, "", f"{_authentication(site)} Ctrl-C stops everything."])


def _authentication(site: Site) -> str:
    file = site.key_file
    if file is None:
        return "Authentication is off: every client that reaches these addresses can decide."
    if site.key_is_refused or not file.exists():
        return "Authentication is on: every call needs a key."
    return f"Authentication is on: every call needs a key. The first one, an administrator's, lies in {short(file)}."


def _decide(site: Site, sample: dict[str, Any]) -> list[str]:
    checkpoint, run = sample["checkpoint"], f"{site.addresses.http('gateway')}/hitl/runs/{sample['run_id']}"
    key = curl_option(site.key_file)
    who = {"actor": "you"} if site.key_file is None else {}
    body = json.dumps({"subject_sha256": checkpoint["subject_sha256"], **who})
    command = f"curl -sS -X POST {run}/approve{key} -H 'content-type: application/json' -d {shlex.quote(body)}"
    return [
        f"A sample run waits at {checkpoint['step']}. In another terminal, look at it, and approve what you see:",
        "",
        f"  curl -sS {run}{key} | {PRETTY}",
        f"  {command} | {PRETTY}",
        "",
        f"{_NEXT[checkpoint['step'] == 'response_review']} Each run has a line here when it starts, waits, is decided and ends.",
    ]
