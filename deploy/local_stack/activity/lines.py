"""Records of Kafka to lines of the terminal: one for each run that is started, waits, is decided, is refused or ends. Pure."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import datetime
from typing import Any

from contracts.topics import COMMANDS, EVENTS, OUTCOMES

Json = dict[str, Any]

_SHORT = 8
_MOST_WORDS = 60
_UNNAMED = "anonymous"
_MOST_REMEMBERED = 10_000

_DECIDED = {
    "checkpoint-approved.v1": "approved",
    "checkpoint-edited.v1": "edited",
    "checkpoint-rejected.v1": "rejected",
}
_ENDED = {"run-failed.v1": "failed", "run-cancelled.v1": "cancelled", "checkpoint-expired.v1": "expired"}


class ActivityLines:
    """Makes the lines. A refusal says who asked for what, which its command alone knows: either may be read first."""

    def __init__(self, gateway: str, curl_option: str = "") -> None:
        """`curl_option` brings a key, and has a space before it."""
        self._gateway = gateway
        self._curl = f"curl -sS{curl_option}"
        self._commands: OrderedDict[str, Json] = OrderedDict()
        self._refusals: OrderedDict[str, Json] = OrderedDict()

    def line(self, topic: str, value: bytes | None) -> str | None:
        """Return the line of one record, None where it has none: most have not, and those that cannot be read."""
        try:
            record = json.loads(value or b"")
            match topic:
                case EVENTS.name:
                    return self._event(record)
                case COMMANDS.name:
                    _remember(self._commands, record["command_id"], record)
                    return self._refusal(record["command_id"])
                case OUTCOMES.name if record["kind"] == "refused.v1":
                    _remember(self._refusals, record["command_id"], record)
                    return self._refusal(record["command_id"])
        except (ValueError, LookupError, TypeError, AttributeError):
            return None
        return None

    def _event(self, event: Json) -> str | None:
        run, data, kind = event["run_id"], event["data"], event["kind"]
        url, by = f"{self._gateway}/hitl/runs/{run}", _by(event)
        match kind:
            case "run-started.v1":
                request = data["request"]
                called = f"{_words(request['provider'])}{by}: {_words(request.get('prompt') or '')}"
                return _line(event, "started", called)
            case "checkpoint-opened.v1":
                why = ", ".join(_words(reason["code"]) for reason in data["reasons"][:2])
                # Bound to the version, which is shorter than the subject's hash: another version gets 412.
                approve = f"""{self._curl} -X POST -H 'If-Match: "{event["version"]}"' {url}/approve"""
                return _line(event, "waiting", f"{data['step']} ({why}); to approve: {approve}")
            case "run-completed.v1":
                return _line(event, "completed", f"the result: {self._curl} {url}")
            case _ if kind in _DECIDED:
                return _line(event, "decided", f"{data['step']} {_DECIDED[kind]}{by}")
            case _ if kind in _ENDED:
                return _line(
                    event, _ENDED[kind], _words((data.get("error") or {}).get("message") or data.get("step") or "")
                )
        return None

    def _refusal(self, command_id: str) -> str | None:
        if command_id not in self._refusals or command_id not in self._commands:
            return None
        refused, command = self._refusals.pop(command_id), self._commands.pop(command_id)
        asked = command["kind"].partition("-")[0]
        return _line(command, "refused", f"{asked}{_by(command)}: {refused['code']}, {_words(refused['message'])}")


def _line(record: Json, what: str, more: str) -> str:
    at = datetime.fromisoformat(record["at"]).astimezone()
    return f"{at:%H:%M:%S}  {_words(record['run_id'])[:_SHORT]}  {what:<9}  {more}".rstrip()


def _by(record: Json) -> str:
    actor = record.get("actor")
    actor = record.get("user_id") if actor in (None, _UNNAMED) else actor
    return f" by {_words(actor or _UNNAMED)}"


def _words(text: str) -> str:
    """Return a short text without line ends and terminal codes: people wrote it."""
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 2 * _MOST_WORDS])
    return plain if len(plain) <= _MOST_WORDS else f"{plain[: _MOST_WORDS - 1]}…"


def _remember(found: OrderedDict[str, Json], command_id: str, record: Json) -> None:
    found[command_id] = {
        name: record.get(name) for name in ("kind", "run_id", "at", "actor", "user_id", "code", "message")
    }
    if len(found) > _MOST_REMEMBERED:
        found.popitem(last=False)
