"""The lines that the terminal shows once the stack is ready: addresses, and the command that decides the sample run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from local_stack.services import Addresses

PRETTY = "python3 -m json.tool"
_NEXT = (
    "Then the call is made, and its answer waits for you in the same way.",
    "Then the run is completed: look again.",
)


def welcome(addresses: Addresses, folder: Path, sample: dict[str, Any] | None) -> str:
    """Return the lines; without a sample, the addresses alone."""
    gateway = addresses.http("gateway")
    places = {
        "API": f"{gateway}/docs",
        "waiting": f"{gateway}/hitl/approvals",
        "WebSocket": f"{addresses.websocket()}?user_id=you",
        "data, logs": f"{_short(folder)}, {_short(folder / 'logs')}",
        "a story": "make demo",
    }
    lines = [f"  {name:<11} {place}" for name, place in places.items()]
    if sample is not None:
        lines += ["", *_decide(gateway, sample)]
    return "\n".join(
        [
            *lines,
            "",
            "Authentication is off: every client that reaches these addresses can decide. Ctrl-C stops everything.",
        ]
    )


def _decide(gateway: str, sample: dict[str, Any]) -> list[str]:
    checkpoint, run = sample["checkpoint"], f"{gateway}/hitl/runs/{sample['run_id']}"
    body = json.dumps({"subject_sha256": checkpoint["subject_sha256"], "actor": "you"})
    command = f"curl -sS -X POST {run}/approve -H 'content-type: application/json' -d {shlex.quote(body)}"
    return [
        f"A sample run waits at {checkpoint['step']}. In another terminal, look at it, and approve what you see:",
        "",
        f"  curl -sS {run} | {PRETTY}",
        f"  {command} | {PRETTY}",
        "",
        f"{_NEXT[checkpoint['step'] == 'response_review']} Each run has a line here when it starts, waits, is decided and ends.",
    ]


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
