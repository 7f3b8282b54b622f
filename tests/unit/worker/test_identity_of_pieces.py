"""Pieces of a stream are joined by what they are pieces of, though servers get ids and places wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from provider_worker.providers.anthropic.stream import Event, read_stream
from provider_worker.providers.base import note_nowhere
from provider_worker.providers.chat_completions.stream import gather_chat
from provider_worker.providers.openai.responses.stream import gather_response
from provider_worker.providers.progress import Progress

ONE, TWO = '{"path":"1.txt"}', '{"path":"2.txt"}'


def _call(arguments: Any = None, name: str | None = None, **members: Any) -> dict[str, Any]:
    told = {"name": name, "arguments": arguments}
    return {**members, "function": {member: value for member, value in told.items() if value is not None}}


async def _coming(told: Sequence[Any]) -> AsyncIterator[Any]:
    for said in told:
        yield said


async def _calls(*deltas: list[dict[str, Any]]) -> list[tuple[Any, Any, Any]]:
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": calls}}]} for calls in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    whole = await gather_chat(_coming([*chunks, end]), Progress())
    found = whole["choices"][0]["message"]["tool_calls"]
    return [(call.get("id"), call["function"].get("name"), call["function"].get("arguments")) for call in found]


BOTH = [("c1", "save", ONE), ("c2", "save", TWO)]
NAMELESS = [(None, "save", ONE), (None, "save", TWO)]
BEGUN, REST = ONE[:7], ONE[7:]


@pytest.mark.parametrize(
    ("named", "deltas", "calls"),
    [
        ("one index, two ids", [[_call(ONE, "save", index=0, id="c1")], [_call(TWO, "save", index=0, id="c2")]], BOTH),
        (
            "one index in one delta",
            [[_call(ONE, "save", index=0, id="c1"), _call(TWO, "save", index=0, id="c2")]],
            BOTH,
        ),
        ("as documented", [[_call(ONE, "save", index=0, id="c1")], [_call(TWO, "save", index=1, id="c2")]], BOTH),
        ("no index", [[_call(ONE, "save", id="c1")], [_call(TWO, "save", id="c2")]], BOTH),
        ("index null", [[_call(ONE, "save", index=None, id="c1")], [_call(TWO, "save", index=None, id="c2")]], BOTH),
        (
            "one index, in pieces",
            [
                [_call("", "save", index=0, id="c1")],
                [_call(BEGUN, index=0)],
                [_call(REST, index=0)],
                [_call("", "save", index=0, id="c2")],
                [_call(TWO, index=0)],
            ],
            BOTH,
        ),
        (
            "no index, in pieces",
            [[_call("", "save", id="c1")], [_call(BEGUN)], [_call(REST)], [_call(TWO, "save", id="c2")]],
            BOTH,
        ),
        (
            "id in each piece",
            [
                [_call(BEGUN, "save", index=0, id="c1")],
                [_call(REST, index=0, id="c1")],
                [_call(TWO, "save", index=0, id="c2")],
            ],
            BOTH,
        ),
        (
            "id empty later",
            [
                [_call(BEGUN, "save", index=0, id="c1")],
                [_call(REST, index=0, id="")],
                [_call(TWO, "save", index=0, id="c2")],
            ],
            BOTH,
        ),
        (
            "id null later",
            [
                [_call(BEGUN, "save", index=0, id="c1")],
                [_call(REST, index=0, id=None)],
                [_call(TWO, "save", index=0, id="c2")],
            ],
            BOTH,
        ),
        (
            "name in each piece",
            [
                [_call(BEGUN, "save", index=0, id="c1")],
                [_call(REST, "save", index=0, id="c1")],
                [_call(TWO, "save", index=1, id="c2")],
            ],
            BOTH,
        ),
        (
            "told twice",
            [
                [_call(ONE, "save", index=0, id="c1")],
                [_call(ONE, "save", index=0, id="c1")],
                [_call(TWO, "save", index=1, id="c2")],
            ],
            BOTH,
        ),
        (
            "each piece repeats all before",
            [
                [_call(BEGUN, "save", index=0, id="c1")],
                [_call(ONE, "save", index=0, id="c1")],
                [_call(TWO, "save", index=1, id="c2")],
            ],
            BOTH,
        ),
        (
            "an index for each piece",
            [
                [_call(BEGUN, "save", index=0, id="c1")],
                [_call(REST, index=1, id="c1")],
                [_call(TWO, "save", index=2, id="c2")],
            ],
            BOTH,
        ),
        (
            "an empty object first",
            [[_call("{}", "save", index=0, id="c1")], [_call(ONE, index=0)], [_call(TWO, "save", index=1, id="c2")]],
            BOTH,
        ),
        (
            "at once",
            [[_call(BEGUN, "save", index=0, id="c1"), _call(TWO, "save", index=1, id="c2")], [_call(REST, index=0)]],
            BOTH,
        ),
        ("index as text", [[_call(ONE, "save", index="0", id="c1")], [_call(TWO, "save", index="1", id="c2")]], BOTH),
        (
            "index of another kind",
            [[_call(ONE, "save", index={}, id="c1")], [_call(TWO, "save", index=[], id="c2")]],
            BOTH,
        ),
        (
            "no ids, begun without arguments",
            [[_call("", "save", index=0)], [_call(ONE, index=0)], [_call(TWO, "save", index=0)]],
            NAMELESS,
        ),
        (
            "no ids, in many pieces with its name",
            [*([_call(piece, "save", index=0)] for piece in ONE), *([_call(piece, "save", index=0)] for piece in TWO)],
            NAMELESS,
        ),
        (
            "ids that are numbers",
            [[_call(ONE, "save", index=0, id=1)], [_call(TWO, "save", index=0, id=2)]],
            [(1, "save", ONE), (2, "save", TWO)],
        ),
        ("one index, no ids", [[_call(ONE, "save", index=0)], [_call(TWO, "save", index=0)]], NAMELESS),
        ("neither index nor id", [[_call(ONE, "save")], [_call(TWO, "save")]], NAMELESS),
        ("the same twice, without ids", [[_call(ONE, "save"), _call(ONE, "save")]], [(None, "save", ONE)] * 2),
        (
            "empty ids",
            [[_call(ONE, "save", id="")], [_call(TWO, "save", id="")]],
            [("", *call[1:]) for call in NAMELESS],
        ),
        (
            "one id, two indexes",
            [[_call(ONE, "save", index=0, id="c")], [_call(TWO, "save", index=1, id="c")]],
            [("c", *call[1:]) for call in BOTH],
        ),
        (
            "one id, two names",
            [[_call(ONE, "save", index=0, id="c")], [_call(TWO, "load", index=0, id="c")]],
            [("c", "save", ONE), ("c", "load", TWO)],
        ),
        (
            "arguments as objects",
            [[_call({"a": 1}, "save")], [_call({"a": 2}, "save")]],
            [(None, "save", {"a": 1}), (None, "save", {"a": 2})],
        ),
        (
            "arguments null first",
            [[_call(None, "save", index=0, id="c1")], [_call(ONE, index=0)]],
            [("c1", "save", ONE)],
        ),
        (
            "without arguments",
            [[_call("", "now", index=0, id="c1")], [_call("", "here", index=1, id="c2")]],
            [("c1", "now", ""), ("c2", "here", "")],
        ),
        ("unfinished", [[_call(BEGUN, "save", index=0, id="c1")]], [("c1", "save", BEGUN)]),
        (
            "pieces that are alike",
            [[_call("1", "save", index=0, id="c1")], [_call("1", index=0)]],
            [("c1", "save", "11")],
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
async def test_an_id_that_differs_begins_a_new_call(named: str, deltas: Any, calls: Any) -> None:
    """Whatever the index says; what goes on with a call is no new one, and what is told again is told once."""
    assert await _calls(*deltas) == calls, named


async def test_choices_without_an_index_are_told_apart_by_their_place() -> None:
    """In each chunk; an end is not taken back by a chunk that comes after it."""
    chunks = [
        {"choices": [{"delta": {"content": "So"}}, {"delta": {"content": "Or"}}]},
        {"choices": [{"delta": {"content": "."}, "finish_reason": "length"}, {"delta": {}, "finish_reason": "stop"}]},
        {"choices": [{"delta": {}, "finish_reason": ""}], "usage": {"completion_tokens": 2}},
    ]
    first, second = (await gather_chat(_coming(chunks), Progress()))["choices"]
    assert (first["message"]["content"], first["finish_reason"]) == ("So.", "length")
    assert (second["message"]["content"], second["finish_reason"]) == ("Or", "stop")


async def test_an_index_may_be_a_text() -> None:
    """Choices and blocks keep their places by it."""
    chunks = [{"choices": [{"index": n, "delta": {"content": n}, "finish_reason": "stop"}]} for n in ("0", "1", "0")]
    found = await gather_chat(_coming(chunks), Progress())
    assert [choice["message"]["content"] for choice in found["choices"]] == ["00", "1"]
    blocks = [*_used("0", "a", BEGUN), *_used("1", "b", TWO)]
    rest = {"type": "content_block_delta", "index": "0", "delta": {"type": "input_json_delta", "partial_json": REST}}
    told = [{"type": "message_start", "message": {}}, *blocks, rest, {"type": "message_stop"}]
    message = await read_stream(_as_generator([Event(None, json.dumps(event)) for event in told]), Progress())
    assert [block["input"] for block in message["content"]] == [{"path": "1.txt"}, {"path": "2.txt"}]


async def test_a_piece_of_another_kind_belongs_to_another_block() -> None:
    """A tool's input is no text, whatever block stands at its place."""
    deltas = [{"type": "text_delta", "text": "So."}, {"type": "input_json_delta", "partial_json": ONE}]
    told: list[Any] = [{"type": "message_start", "message": {}}]
    told += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    events = [Event(None, json.dumps(event)) for event in [*told, {"type": "message_stop"}]]
    message = await read_stream(_as_generator(events), Progress())
    assert message["content"] == [{"type": "text", "text": "So."}, {"type": "tool_use", "input": {"path": "1.txt"}}]


async def test_a_last_chunk_with_the_whole_message_is_not_added_to_it() -> None:
    """Some servers end so; watchers hear only what is new in it."""
    said: list[str] = []
    whole = {"message": {"role": "assistant", "content": "It is so."}, "finish_reason": "stop"}
    chunks = [{"choices": [{"index": 0, "delta": {"content": "It is"}}]}, {"choices": [{"index": 0, **whole}]}]
    found = await gather_chat(_coming(chunks), Progress(said.append))
    assert found["choices"][0]["message"]["content"] == "It is so."
    assert said == ["It is", " so."]


@pytest.mark.parametrize("name", ["id", "type"])
async def test_parts_of_one_index_with_other_ids_or_types_are_parts_of_their_own(name: str) -> None:
    """As some servers write thoughts."""
    parts = [{"index": 0, name: "a", "text": "H"}, {"index": 0, "text": "m"}, {"index": 0, name: "b", "text": "."}]
    chunks = [{"choices": [{"index": 0, "delta": {"reasoning_details": [part]}}]} for part in parts]
    end = {"choices": [{"index": 0, "delta": {"content": "A"}, "finish_reason": "stop"}]}
    message = (await gather_chat(_coming([*chunks, end]), Progress()))["choices"][0]["message"]
    assert message["reasoning_details"] == [{name: "a", "text": "Hm"}, {name: "b", "text": "."}]


def _used(index: Any, name: str, text: str) -> list[dict[str, Any]]:
    return [
        {
            "type": "content_block_start",
            "index": index,
            "content_block": {"type": "tool_use", "id": name, "name": name, "input": {}},
        },
        {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": text}},
    ]


@pytest.mark.parametrize("index", [0, None, "0", "x"])
async def test_a_block_that_begins_where_one_stands_is_a_further_block(index: Any) -> None:
    """Servers that stand in for Anthropic's give all of them one place, or none."""
    start = {"type": "message_start", "message": {"content": [], "usage": {}}}
    told = [start, *_used(index, "a", ONE), *_used(index, "b", TWO), {"type": "message_stop"}]
    events = (Event(None, json.dumps(event)) for event in told)
    message = await read_stream(_as_generator(list(events)), Progress())
    assert [(block["id"], block["input"]) for block in message["content"]] == [
        ("a", {"path": "1.txt"}),
        ("b", {"path": "2.txt"}),
    ]


async def test_a_piece_without_a_block_begins_one() -> None:
    """The text is there, and is not lost for a missing event."""
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in ("So", ".")
    ]
    told = [{"type": "message_start", "message": {}}, *deltas, {"type": "message_stop"}]
    message = await read_stream(_as_generator([Event(None, json.dumps(event)) for event in told]), Progress())
    assert message["content"] == [{"type": "text", "text": "So."}]


@pytest.mark.parametrize("ids", [("i1", "i1", "i2", "i2"), ("i1", "x", "i2", "y"), (None, None, None, None)])
@pytest.mark.parametrize("places", [(0, 0, 1, 1), (0, 0, 0, 0), (None, None, None, None)])
async def test_items_of_a_response_are_told_apart_however_they_are_named(ids: Any, places: Any) -> None:
    """By id or place, whichever is right; an end without the items that came before it does not lose them."""
    told = []
    for number, arguments in ((0, ONE), (2, TWO)):
        item = {"type": "function_call", "id": ids[number], "call_id": f"c{number}", "name": "save", "arguments": ""}
        told += [
            {"type": "response.output_item.added", "output_index": places[number], "item": item},
            {"type": "response.function_call_arguments.delta", "output_index": places[number + 1],
             "item_id": ids[number + 1], "delta": arguments},
            {"type": "response.output_item.done", "output_index": places[number], "item": {**item, "arguments": arguments}},
        ]  # fmt: skip
    told.append({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}})
    whole = await gather_response(_as_generator(told), Progress(), note_nowhere)
    assert [(item["call_id"], item["arguments"]) for item in whole["output"]] == [("c0", ONE), ("c2", TWO)]


async def _as_generator(told: Sequence[Any]) -> Any:
    for said in told:
        yield said
