"""What is no command goes to `run.commands.dead` with the reason, and the batch around it is unharmed."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.topics import COMMANDS, MAX_RECORD_BYTES
from testkit.runs.command_records import Log, start

from .conftest import MakeOwner, Owner

RUN = UUID(int=0xC0)
KEY = str(RUN).encode()


def altered(**members: Any) -> bytes:
    """Return a command with members that do not belong there; None takes one away."""
    said = json.loads(start(RUN).model_dump_json())
    return json.dumps({name: value for name, value in {**said, **members}.items() if value is not None}).encode()


MALFORMED: dict[str, tuple[bytes | None, bytes | None]] = {
    "empty": (KEY, b""),
    "null": (KEY, None),
    "not JSON": (KEY, b"approve please"),
    "not UTF-8": (KEY, b'{"kind": "\xff\xfe"}'),
    "no object": (KEY, b"[1, 2]"),
    "an unknown kind": (KEY, altered(kind="launch-missiles.v1")),
    "no kind": (KEY, altered(kind=None)),
    "a missing member": (KEY, altered(request=None)),
    "a wrong type": (KEY, altered(run_id=7)),
    "a time without a zone": (KEY, altered(at="2026-01-01T00:00:00")),
    "an asker below the partitions": (KEY, altered(reply_to=-1)),
    "NaN": (KEY, altered(request={"prompt": "p", "parameters": {"t": float("nan")}})),
    "a lone surrogate": (KEY, altered(request={"prompt": "\ud800"})),
    "two members of one name": (KEY, altered().replace(b'"tenant"', b'"tenant": "other", "tenant"')),
    "two members of one name, inside": (KEY, altered().replace(b'"prompt"', b'"prompt": "q", "prompt"')),
    "a text for a number": (KEY, altered(expected_version="5")),
    "an integer of 309 digits": (KEY, altered(request={"prompt": "p", "parameters": {"n": 10**308}})),
    "2,000 levels": (KEY, b'{"kind": "start-run.v1", "request": ' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "huge": (KEY, b"x" * (MAX_RECORD_BYTES - 100)),
    "a huge key": (b"k" * (MAX_RECORD_BYTES - 100), b"x"),
    "another run's key": (str(UUID(int=1)).encode(), altered()),
    "no key": (None, altered()),
    "a parent that is hosted nowhere": (
        KEY,
        altered(parent={"topic": "elsewhere.commands", "stream_id": str(UUID(int=1)), "path": "a"}),
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_record_is_set_aside_with_its_reason(owner: Owner, name: str) -> None:
    """The dead letter says why and from where; the commands before and behind it are decided."""
    log, (key, value) = Log(), MALFORMED[name]
    batch = [*log.write(start()), log.put(key, value, headers=[("trace", b"\xff\x00")]), *log.write(start())]
    sent = await owner.take(batch)
    assert sent.kinds() == ["run-started.v1"] * 2
    (letter,) = sent.dead()
    headers = dict(letter.headers)
    assert headers["error"]
    assert (headers["source-topic"], headers["source-partition"], headers["source-offset"]) == (
        COMMANDS.name.encode(),
        b"0",
        b"1",
    )
    assert await owner.ledger.positions([0]) == {0: 3}


async def test_a_dead_letter_holds_the_record_as_it_came(owner: Owner) -> None:
    """Key, value and headers are kept byte for byte, UTF-8 or not."""
    log = Log()
    sent = await owner.take([log.put(b"\xfe", b"\xff{", headers=[("a", b"\xff"), ("a", b""), ("b", b"2")])])
    (letter,) = sent.dead()
    assert (letter.key, letter.value, letter.partition) == (b"\xfe", b"\xff{", 0)
    assert list(letter.headers)[:3] == [("a", b"\xff"), ("a", b""), ("b", b"2")]


@pytest.mark.parametrize("name", ["huge", "a huge key"])
async def test_a_dead_letter_fits_into_a_record(owner: Owner, name: str) -> None:
    """Of a record that is too large with the reason, the beginning is kept and its size told."""
    log, (key, value) = Log(), MALFORMED[name]
    (letter,) = (await owner.take([log.put(key, value)])).dead()
    held = sum(map(len, (letter.key or b"", letter.value or b"", *(value for _, value in letter.headers))))
    assert held < MAX_RECORD_BYTES - 10_000
    assert (value or b"").startswith(letter.value or b"")
    assert int(dict(letter.headers)["cut-from-bytes"]) == len(key or b"") + len(value or b"")


async def test_a_batch_of_malformed_records_alone_moves_on(make_owner: MakeOwner) -> None:
    """Nothing to write but the position, and it is written: the next owner publishes the same letters again."""
    log = Log()
    batch = [log.put(b"k", f"not JSON {number}".encode()) for number in range(50)]
    first = await make_owner().take(batch)
    owner = make_owner()
    assert await owner.ledger.positions([0]) == {0: 50}
    assert (await owner.take(batch)).as_bytes() == first.as_bytes()


async def test_a_command_under_another_key_takes_no_effect(owner: Owner) -> None:
    """Only the owner of the run's partition decides on the run, whatever a sender writes."""
    log, run_id = Log(), uuid4()
    stray = log.put(str(uuid4()).encode(), start(run_id).model_dump_json().encode())
    sent = await owner.take([stray])
    assert dict(sent.dead()[0].headers)["error-type"] == b"ForeignKey"
    assert (await owner.ledger.load([run_id])).histories == {}
