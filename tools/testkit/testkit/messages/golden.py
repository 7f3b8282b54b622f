"""The golden files: one message of every kind, every member filled in, in the bytes that travel.

A golden file is a promise: its bytes are read and written the same for ever. A new kind gets its file by hand, as
`tests/golden/<kind>.draft.json` in any layout; `python -m testkit.messages.golden` writes the draft's bytes to
`<kind>.json`. It never changes a file that exists. When a kind gets a member, its old file becomes `<kind>.1.json`
(2, 3, ...), which must still be read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from contracts.message import Message
from contracts.notices import ChildEnded
from contracts.providers.call_stream import AnyStop, PartialOutput
from contracts.providers.capabilities import Capabilities
from contracts.providers.orders import Order, parse_order
from contracts.runs.commands import AnyCommand, parse_command
from contracts.runs.events import EVENT_KINDS
from contracts.runs.outcomes import Outcome, parse_outcome
from contracts.runs.run_event import RunEvent

FOLDER = Path(__file__).parents[4] / "tests" / "golden"
DRAFT = ".draft.json"

PARSERS: dict[str, Callable[[bytes], Message]] = {
    **dict.fromkeys(EVENT_KINDS, RunEvent.parse),
    **{kind.model_fields["kind"].default: parse_command for kind in get_args(AnyCommand)},
    **{kind.model_fields["kind"].default: parse_outcome for kind in get_args(Outcome)},
    **{kind.model_fields["kind"].default: parse_order for kind in get_args(Order)},
    **{kind.model_fields["kind"].default: kind.model_validate_json for kind in (PartialOutput, *get_args(AnyStop))},
    "child-ended.v1": ChildEnded.model_validate_json,
    "capabilities": Capabilities.model_validate_json,
}
"""How each kind is read; `capabilities` are the records of `provider.catalog`."""


def to_bytes(message: Message) -> bytes:
    """Return a message as it travels."""
    return message.to_bytes() if isinstance(message, RunEvent) else message.model_dump_json().encode()


def read(path: Path) -> bytes:
    """Return the message in a golden file: one line, without its end."""
    return path.read_bytes().removesuffix(b"\n")


def sample(kind: str) -> Message:
    """Return the message of a kind's golden file."""
    return PARSERS[kind](read(FOLDER / f"{kind}.json"))


def sample_events() -> dict[str, RunEvent]:
    """Return the sample event of every kind of event."""
    return {kind: RunEvent.parse(read(FOLDER / f"{kind}.json")) for kind in EVENT_KINDS}


def main() -> None:
    """Write the golden file of each draft, and delete the draft."""
    for draft in FOLDER.glob(f"*{DRAFT}"):
        kind = draft.name.removesuffix(DRAFT)
        with (FOLDER / f"{kind}.json").open("xb") as file:
            file.write(to_bytes(PARSERS[kind](draft.read_bytes())) + b"\n")
        draft.unlink()
        print("wrote", file.name)


if __name__ == "__main__":
    main()
