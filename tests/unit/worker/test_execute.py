"""An execute order's bytes go out once, and the facts of the answer come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.providers.call import Execution
from contracts.providers.orders import ExecuteOrder
from contracts.providers.signals import Signals
from provider_worker.errors import DatabaseUnavailable
from provider_worker.execution.execute import CallContext, execute
from provider_worker.execution.stored_answers import INLINE_BYTES
from provider_worker.providers.answers.content import ENDED, Asked, content_of
from provider_worker.providers.answers.said import Said
from provider_worker.providers.base import Answer, Audit, Call, ProviderError
from provider_worker.providers.payload_schema import CompiledSchema
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts, MemoryTenantArtifacts

MakeExecute = Callable[..., ExecuteOrder]


class Scripted(SandboxProvider):
    """A provider whose vendor answers as told; an exception in place of an answer is raised."""

    name = "scripted"

    def __init__(self, raw: Any, audit: Audit | Exception | None = None, request_id: str = "req-1") -> None:
        super().__init__()
        self.request_id = request_id
        self.raw = raw
        self.audit = audit
        self.calls = 0

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Answer, or raise, as told."""
        del payload, call
        self.calls += 1
        if isinstance(self.raw, Exception):
            raise self.raw
        return Answer(self.raw, self.request_id)

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Score, or raise, as told."""
        del operation, payload, raw
        if isinstance(self.audit, Exception):
            raise self.audit
        return self.audit or Audit({"text": "fine"}, {})


async def _execute(
    order: ExecuteOrder,
    provider: SandboxProvider,
    artifacts: MemoryTenantArtifacts | None = None,
    context: CallContext | None = None,
) -> Execution:
    artifacts = artifacts or MemoryArtifacts().of("acme")
    return await execute(order, provider, artifacts, Sanitizer(["sk-a-very-secret-key"]), context)


async def test_an_execution_tells_everything_about_the_answer(execute_order: MakeExecute) -> None:
    """Raw and cleaned answer, its schema, signals, usage, cost, the vendor's id."""
    order = execute_order(prompt="Hi there")
    execution = await _execute(order, SandboxProvider())
    assert execution.raw["output"]["text"] == execution.response["text"]
    assert execution.response_schema["required"] == ["text"]
    assert execution.signals.response_quality == 0.9
    assert execution.usage["prompt_characters"] == 8
    assert execution.cost
    assert execution.provider_request_id == f"sandbox-{order.work_id}:1"


async def test_other_bytes_than_those_approved_are_not_sent(execute_order: MakeExecute) -> None:
    """The digest is checked before the call; nothing is uncertain."""
    provider = Scripted({})
    with pytest.raises(ProviderError) as refused:
        await _execute(execute_order(payload_sha256="0" * 64), provider)
    assert (refused.value.failure.code, refused.value.failure.uncertain) == ("payload_mismatch", False)
    assert provider.calls == 0


async def test_a_bug_during_the_call_leaves_it_uncertain(execute_order: MakeExecute) -> None:
    """The vendor may have been reached; the log has the trace, without the key."""
    with capture_logs() as logs, pytest.raises(ProviderError) as failed:
        await _execute(execute_order(), Scripted(KeyError("Bearer sk-a-very-secret-key")))
    failure = failed.value.failure
    assert (failure.code, failure.uncertain, failure.retryable) == ("provider_bug", True, False)
    assert "sk-a-very-secret-key" not in failure.message + json.dumps(logs)
    assert "KeyError" in logs[0]["trace"]


async def test_a_bug_after_the_call_loses_no_answer(execute_order: MakeExecute) -> None:
    """The call is known to have happened; the paid answer is kept and named in the message."""
    artifacts = MemoryArtifacts().of("acme")
    with pytest.raises(ProviderError) as failed:
        await _execute(execute_order(), Scripted({"precious": 1}, ZeroDivisionError()), artifacts)
    failure = failed.value.failure
    assert (failure.code, failure.uncertain) == ("provider_bug", False)
    ref = failure.message.rsplit(" ", 1)[1].rstrip(".")
    kept = await artifacts.read(ref)
    assert kept is not None
    assert json.loads(kept[1]) == {"precious": 1}


async def test_an_answer_that_is_no_valid_execution_counts_as_a_bug(execute_order: MakeExecute) -> None:
    """A response that is no object cannot be recorded."""
    no_object: Any = []
    with pytest.raises(ProviderError) as failed:
        await _execute(execute_order(), Scripted({}, Audit(no_object, {})))
    assert (failed.value.failure.code, failed.value.failure.uncertain) == ("provider_bug", False)


async def test_a_call_without_end_is_cut_off_as_uncertain(execute_order: MakeExecute) -> None:
    """The overall limit holds for any wait of the provider."""
    order = execute_order(parameters={"fault": "slow", "delay_seconds": 600})
    with pytest.raises(ProviderError) as failed:
        await execute(order, SandboxProvider(), MemoryArtifacts().of("acme"), Sanitizer(), CallContext(seconds=0.05))
    failure = failed.value.failure
    assert (failure.code, failure.uncertain, failure.retryable) == ("timeout", True, True)


async def test_a_large_raw_answer_goes_to_the_artifact_store(execute_order: MakeExecute) -> None:
    """In its place stand a ref and the size."""
    artifacts = MemoryArtifacts().of("acme")
    raw = {"text": "x" * INLINE_BYTES}
    execution = await _execute(execute_order(), Scripted(raw), artifacts)
    found = await artifacts.read(execution.raw["artifact"])
    assert found is not None
    assert json.loads(found[1]) == raw
    assert execution.raw["size"] == len(found[1])


async def test_a_large_cleaned_answer_is_kept_whole_and_shown_in_part(execute_order: MakeExecute) -> None:
    """A reviewer sees its beginning and where to find the rest."""
    artifacts = MemoryArtifacts().of("acme")
    response = {"text": "y" * 300_000}
    execution = await _execute(execute_order(), Scripted({}, Audit(response, {})), artifacts)
    found = await artifacts.read(execution.response["artifact"])
    assert found is not None
    assert json.loads(found[1]) == response
    assert execution.response["excerpt"] == "y" * 2000
    assert len(execution.model_dump_json()) < 5000


async def test_an_answer_of_any_size_is_kept(execute_order: MakeExecute) -> None:
    """It is paid for; how much of it is read is bound where it is read."""
    artifacts = MemoryArtifacts().of("acme")
    execution = await _execute(execute_order(), Scripted("z" * (21 * 1024 * 1024)), artifacts)
    found = await artifacts.find(execution.raw["artifact"])
    assert found is not None
    assert found.size == 21 * 1024 * 1024 + 2


async def test_nothing_beside_an_answer_makes_it_too_large_for_a_record(execute_order: MakeExecute) -> None:
    """Usage, flags and the request's id are the vendor's own, and may be of any length."""
    artifacts = MemoryArtifacts().of("acme")
    usage = {f"count_{number}": number for number in range(100_000)}
    flags = tuple(f"flag {number} {'x' * 5000}" for number in range(1000))
    audit = Audit({"text": "fine"}, {}, Signals(safety_flags=flags), usage)
    execution = await _execute(execute_order(), Scripted({}, audit, request_id="r" * 5_000_000), artifacts)
    assert len(execution.model_dump_json()) < 20_000
    assert await artifacts.read(execution.usage["artifact"])


async def test_an_answer_that_a_bug_kept_from_being_read_is_not_bought_again(execute_order: MakeExecute) -> None:
    """Where the vendor can be asked about the call: it stays noted."""
    context = CallContext(provider_call_id="p1")
    with pytest.raises(ProviderError) as failed:
        await _execute(execute_order(), Scripted({}, RuntimeError("a bug")), context=context)
    assert (failed.value.failure.code, failed.value.failure.uncertain) == ("provider_bug", True)


async def test_an_answer_that_is_no_json_is_made_one(execute_order: MakeExecute) -> None:
    """Integers beyond the range of doubles, NaN, lone surrogates and the key itself: nothing of it reaches an event."""
    odd = {"big": 10**308, "exact": 2**70, "nan": float("nan"), "text": "\ud800\x00sk-a-very-secret-key"}
    execution = await _execute(execute_order(), Scripted(odd, Audit(dict(odd), {})))
    assert execution.raw == execution.response
    assert (execution.raw["big"], execution.raw["exact"]) == (str(10**308), 2**70)
    assert "sk-a-very-secret-key" not in execution.model_dump_json()


KEY = "sk-a-very-secret-key"
JUDGED: dict[str, tuple[str, dict[str, Any], Any, float]] = {
    "an integer beyond 2^53": (
        '{"a": 1497549923779084388}',
        {"type": "integer"},
        1497549923779084388,
        1.0,
    ),
    "the next integer": ('{"a": 1497549923779084389}', {"const": 1497549923779084388}, 1497549923779084389, 0.2),
    "an integer of 40 digits": ('{"a": 1' + "0" * 39 + "}", {"minimum": 10**39, "multipleOf": 10}, 10**39, 1.0),
    "a whole number with a point": ('{"a": 1.0}', {"type": "integer"}, 1.0, 1.0),
    "an exponent": ('{"a": 1E5}', {"type": "integer", "maximum": 100_000}, 100_000.0, 1.0),
    "a decimal of many digits": ('{"a": 0.1000000000000000055511151231257827}', {"const": 0.1}, 0.1, 1.0),
    "minus zero": ('{"a": -0.0}', {"const": 0}, -0.0, 1.0),
    "a key": (f'{{"a": "{KEY}"}}', {"pattern": "^sk-"}, "[hidden]", 0.2),
    "a key, written with escapes": ('{"a": "\\u0073k-a-very-secret-key"}', {"const": KEY}, "[hidden]", 1.0),
    "NUL": ('{"a": "a\\u0000b"}', {"pattern": "^a.b$"}, "a\ufffdb", 1.0),
    "NUL that was asked for": ('{"a": "\\u0000"}', {"const": "\x00"}, "\ufffd", 1.0),
    "deep in itself": (
        '{"a": ' + "[" * 40 + "]" * 40 + "}",
        {"$id": "urn:example:n", "type": "array", "items": {"$ref": "#"}},
        None,
        0.2,
    ),
}
"""Answers, the schema of their member, the member as it is stored, and the quality that the stored one has."""


@pytest.mark.parametrize("name", JUDGED)
async def test_what_is_judged_is_what_is_shown_and_stored(execute_order: MakeExecute, name: str) -> None:
    """An answer that fits is edited member by member; one that cleaning has changed into a misfit is scored as such."""
    text, member, stored, quality = JUDGED[name]
    asked = {"type": "object", "properties": {"a": member}}

    class Model(Scripted):
        async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
            """Read the JSON in the text, as every vendor's provider does."""
            del operation, payload
            content = content_of(Said(text=raw["text"]), ENDED, Asked(as_json=True, schema=asked))
            return Audit(content.response, content.schema, Signals(response_quality=content.quality))

    execution = await _execute(execute_order(), Model({"text": text}))
    told = Execution.model_validate_json(execution.model_dump_json())
    if stored is not None:
        assert told.response["json"] == {"a": stored}
        assert type(told.response["json"]["a"]) is type(stored)
    assert told.signals.response_quality == quality
    fits = CompiledSchema(told.response_schema).is_valid(told.response)
    assert fits == (quality == 1.0), "what an edit of another member is held against"


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": 1e400}', '{"a": "\\ud800"}', '{"a": 1, "a": 2}', "9" * 400, "9" * 5000]
)
def test_an_answer_that_readers_hold_differently_is_shown_as_text(text: str) -> None:
    """It is no JSON: the reviewer reads what the model said, and the quality is 0."""
    content = content_of(Said(text=text), ENDED, Asked(as_json=True, schema={"type": "object"}))
    assert (content.response, content.quality) == ({"json": None, "text": text}, 0.0)


async def test_whatever_a_provider_says_can_be_recorded(execute_order: MakeExecute) -> None:
    """Every part of it is sanitized: it is not validated again before it is an event."""
    odd: dict[str, Any] = {"big": 2**70, "nan": float("nan"), "half": "\ud800"}
    execution = await _execute(execute_order(), Scripted(odd, Audit(dict(odd), dict(odd), usage=dict(odd))))
    told = Execution.model_validate_json(execution.model_dump_json())
    assert told.raw == told.response == told.response_schema == told.usage
    assert told.model_dump() == execution.model_dump()


async def test_what_was_paid_for_waits_for_the_database(execute_order: MakeExecute) -> None:
    """The answer is kept once the database is back; the call is not made again."""

    class Returning(MemoryTenantArtifacts):
        refused = 0

        async def keep(self, body: bytes, media_type: str) -> str:
            """Refuse twice, then keep."""
            if self.refused < 2:
                self.refused += 1
                raise DatabaseUnavailable("away")
            return await super().keep(body, media_type)

    artifacts = Returning(MemoryArtifacts(), {})
    execution = await _execute(
        execute_order(operation="image", parameters={"size": "256x256"}), SandboxProvider(), artifacts
    )
    assert artifacts.refused == 2
    assert await artifacts.find(execution.response["images"][0])


async def test_a_database_that_is_away_before_the_call_leaves_nothing_uncertain(execute_order: MakeExecute) -> None:
    """Reading an attachment comes first."""
    artifacts = MemoryArtifacts()
    artifacts.unavailable = True
    payload = {"model": "m", "prompt": "p", "parameters": {}, "attachments": ["artifact:sha256:" + "0" * 64]}
    with pytest.raises(DatabaseUnavailable):
        await _execute(execute_order(payload=payload), SandboxProvider(), artifacts.of("acme"))
