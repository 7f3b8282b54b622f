"""The sandbox answers by its stated rules."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contracts.providers.call import CallIntent, Severity
from provider_worker.providers.base import Attachment, Audit, Call, ProviderError
from provider_worker.providers.payload_schema import CompiledSchema, SchemaTooCostly, UnusableSchema
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.providers.sandbox.parameters import FAULTS
from provider_worker.providers.sandbox.schema_inventor import CannotInvent, invent
from provider_worker.testing.memory import MemoryArtifacts


def _payload(prompt: str = "Paint a red bicycle", **parameters: Any) -> dict[str, Any]:
    return {"model": "sandbox-1", "prompt": prompt, "parameters": parameters}


async def _ask(
    payload: dict[str, Any], operation: str = "text", attempt: int = 1, artifacts: MemoryArtifacts | None = None
) -> Audit:
    provider = SandboxProvider()
    kept = (artifacts or MemoryArtifacts()).of("acme")
    answer = await provider.execute(payload, Call(operation, "sandbox-1", attempt, "key", kept))
    return await provider.audit_response(operation, payload, answer.raw)


async def test_the_same_payload_always_gets_the_same_text() -> None:
    """No clock and no chance has a part in it."""
    first, second = await _ask(_payload()), await _ask(_payload())
    assert first == second
    assert first.response["text"] == (
        "You asked: “Paint a red bicycle”. That is 4 words and 19 characters; the longest word is “bicycle”."
    )


async def test_an_answer_satisfies_the_schema_it_comes_with() -> None:
    """For each operation, the response validates against its own response schema."""
    for operation in ("text", "json", "image"):
        audit = await _ask(_payload(schema={"type": "array"}), operation)
        assert CompiledSchema(audit.schema).is_valid(audit.response)


async def test_max_tokens_cuts_a_text_and_lowers_its_quality() -> None:
    """A cut text says so and scores 0.6."""
    audit = await _ask(_payload(max_tokens=3))
    assert audit.response == {"text": "You asked: “Paint", "finish_reason": "length"}
    assert audit.signals.response_quality == 0.6


async def test_attachments_are_described_in_the_answer() -> None:
    """An artifact by its type and size, a link unopened."""
    artifacts = MemoryArtifacts()
    ref = await artifacts.of("acme").keep(b"12345", "text/plain")
    audit = await _ask({**_payload(), "attachments": [ref, "https://example.com/a.png"]}, artifacts=artifacts)
    assert "With it came a file of 5 bytes (text/plain), the link https://example.com/a.png." in audit.response["text"]


async def test_an_attachment_of_another_tenant_is_not_found() -> None:
    """Artifacts are seen by their own tenant alone."""
    artifacts = MemoryArtifacts()
    ref = await artifacts.of("other").keep(b"12345", "text/plain")
    with pytest.raises(ProviderError) as refused:
        await _ask({**_payload(), "attachments": [ref]}, artifacts=artifacts)
    assert refused.value.failure.code == "artifact_missing"


async def test_an_image_is_a_real_png_of_the_size_asked_for() -> None:
    """It can be decoded, shows the colour that the prompt names, and is the same for the same prompt."""
    artifacts = MemoryArtifacts()
    payload = _payload("A purple house", size="256x512")
    (ref,) = (await _ask(payload, "image", artifacts=artifacts)).response["images"]
    artifact, body = await artifacts.of("acme").read(ref) or pytest.fail("kept nowhere")
    picture = Image.open(io.BytesIO(body))
    assert (picture.format, picture.size, artifact.media_type) == ("PNG", (256, 512), "image/png")
    assert (128, 0, 128) in {colour for _, colour in picture.getcolors(1 << 20) or ()}
    assert (await _ask(payload, "image", artifacts=artifacts)).response["images"] == [ref]


@pytest.mark.parametrize(
    ("fault", "code", "retryable", "uncertain"),
    [
        ("429", "rate_limited", True, False),
        ("500", "provider_error", True, False),
        ("timeout", "timeout", True, True),
        ("refused", "connection_failed", True, False),
        ("malformed", "malformed_response", True, False),
        ("auth", "auth_failed", False, False),
        ("content_filter", "content_filtered", False, False),
    ],
)
async def test_a_fault_fails_the_way_it_is_named(fault: str, code: str, *, retryable: bool, uncertain: bool) -> None:
    """Each with its code, whether a retry may help, and whether the call may have happened."""
    with pytest.raises(ProviderError) as failed:
        await _ask(_payload(fault=fault))
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == (code, retryable, uncertain)
    assert failure.message


async def test_a_429_says_when_to_come_back() -> None:
    """`retry_after` is handed through."""
    with pytest.raises(ProviderError) as failed:
        await _ask(_payload(fault="429", retry_after=12.5))
    assert failed.value.failure.retry_after == 12.5
    assert failed.value.failure.status == 429


@pytest.mark.parametrize(
    ("fault", "flags", "confidence", "quality"),
    [
        ("unsafe", ("nsfw",), 0.95, 0.9),
        ("pii", ("pii",), 0.95, 0.9),
        ("low_confidence", (), 0.3, 0.9),
        ("low_quality", (), 0.95, 0.2),
        (None, (), 0.95, 0.9),
    ],
)
async def test_a_fault_of_content_shows_in_the_signals(
    fault: str | None, flags: tuple[str, ...], confidence: float, quality: float
) -> None:
    """The answer comes, and policy has something to look at."""
    signals = (await _ask(_payload(**({"fault": fault} if fault else {})))).signals
    assert (signals.safety_flags, signals.confidence, signals.response_quality) == (flags, confidence, quality)


async def test_fault_attempts_lets_later_attempts_succeed() -> None:
    """So that retries can be shown."""
    payload = _payload(fault="500", fault_attempts=2)
    for attempt in (1, 2):
        with pytest.raises(ProviderError):
            await _ask(payload, attempt=attempt)
    assert (await _ask(payload, attempt=3)).response["text"]


async def test_every_fault_that_is_offered_does_something() -> None:
    """No name in the schema is without effect."""
    plain = await _ask(_payload())
    for fault in FAULTS:
        if fault == "slow":
            continue
        try:
            audit = await _ask(_payload(fault=fault))
        except ProviderError:
            continue
        assert audit.signals != plain.signals, fault


async def test_a_payload_that_does_not_fit_the_schema_is_refused_as_a_vendor_would() -> None:
    """With status 400, and nothing uncertain about it."""
    with pytest.raises(ProviderError) as refused:
        await _ask(_payload(size="1x1"), "image")
    assert (refused.value.failure.status, refused.value.failure.uncertain) == (400, False)


async def test_estimate_and_cost_are_small_decimals_with_digits() -> None:
    """A cost that shows: by the character, and a fixed price for an image."""
    provider = SandboxProvider()
    estimate = await provider.estimate_cost("text", _payload("x" * 100))
    assert estimate == Decimal("0.00300")
    assert await provider.estimate_cost("text", _payload("x" * 100, max_tokens=10)) == Decimal("0.00140")
    assert await provider.estimate_cost("image", _payload("x" * 100)) == Decimal("0.01100")
    cost = (await _ask(_payload())).cost
    assert cost is not None
    assert len(str(cost).partition(".")[2]) >= 4


async def test_a_payload_is_the_intent_written_down() -> None:
    """Nothing is mended on the way: that is for the issues to say."""
    intent = CallIntent(provider="sandbox", model="sandbox-1", prompt="Hi", parameters={"temperature": "9"})
    payload = await SandboxProvider().create_payload(intent, None, [Attachment("https://example.com/a")])
    assert payload == {
        "model": "sandbox-1",
        "prompt": "Hi",
        "parameters": {"temperature": "9"},
        "attachments": ["https://example.com/a"],
    }


async def test_temperature_is_mended_and_unknown_parameters_are_warned_of() -> None:
    """One issue fixes itself, the other is a warning."""
    issues = await SandboxProvider().validate_payload("text", _payload(temperature="3", colour="red"))
    assert [(issue.path, issue.severity, issue.suggested_fix) for issue in issues] == [
        ("/parameters/temperature", Severity.ERROR, {"parameters": {"temperature": 2}}),
        ("/parameters/colour", Severity.WARNING, None),
    ]


@pytest.mark.parametrize(
    "payload", [{}, {"parameters": 5}, {"parameters": {"max_tokens": "x", "preparation_confidence": "y"}, "prompt": 7}]
)
async def test_any_payload_can_be_checked_priced_and_scored(payload: dict[str, Any]) -> None:
    """A reviewer may have made anything of it."""
    provider = SandboxProvider()
    issues = await provider.validate_payload("json", payload)
    assert issues
    assert await provider.estimate_cost("json", payload) is not None
    assert provider.score_payload(payload, issues).confidence == 0.0


async def test_a_preparation_can_state_its_confidence() -> None:
    """To show what policy makes of it."""
    provider = SandboxProvider()
    assert provider.score_payload(_payload(preparation_confidence=0.4), []).confidence == 0.4


SCALARS = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 30, "maxLength": 31},
        {"type": "string", "format": "date"},
        {"type": "string", "pattern": "^[0-9]{3}$"},
        {"type": "integer", "minimum": 18},
        {"type": "integer", "maximum": -3},
        {"type": "integer", "multipleOf": 7, "minimum": 8},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["a", "b", 3]},
        {"const": {"k": [1]}},
        {"type": ["integer", "null"]},
        {},
        True,
    ]
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda a, b: {"type": "object", "properties": {"a": a, "b": b}, "required": ["a"]}, inner, inner),
        st.builds(
            lambda a: {"type": "object", "required": ["x", "y"], "additionalProperties": a, "minProperties": 3}, inner
        ),
        st.builds(lambda a: {"type": "array", "items": a, "minItems": 2, "maxItems": 3}, inner),
        st.builds(lambda a, b: {"type": "array", "prefixItems": [a, b]}, inner, inner),
        st.builds(lambda a: {"anyOf": [a, {"type": "string"}]}, inner),
        st.builds(lambda a: {"$defs": {"t": {"type": "integer"}}, "allOf": [a]}, inner),
    ),
    max_leaves=6,
)


@given(SCHEMAS, st.text(max_size=60))
def test_an_invented_value_is_valid_and_always_the_same(schema: Any, prompt: str) -> None:
    """For any schema of the kinds that are supported."""
    value = invent(schema, prompt)
    assert CompiledSchema(schema).is_valid(value)
    assert json.dumps(invent(schema, prompt)) == json.dumps(value)


def test_references_into_the_schema_are_followed() -> None:
    """Also those that nest, as far as they must."""
    schema = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}},
                "required": ["n"],
            }
        },
        "$ref": "#/$defs/node",
    }
    assert CompiledSchema(schema).is_valid(invent(schema, "x"))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^[QX]{17}$"},
        {"not": {}},
        {"type": "array", "minItems": 10**9},
        {"type": "string", "minLength": 10**9},
        {"$ref": "#"},
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
        {"$defs": {"d": {"allOf": [{"$ref": "#/$defs/d"}, {"$ref": "#/$defs/d"}]}}, "$ref": "#/$defs/d"},
        {"type": "number", "multipleOf": 1e-320},
        {"type": "integer", "minimum": 5, "maximum": 4},
    ],
)
def test_what_cannot_be_invented_is_said_and_not_tried_for_ever(schema: Any) -> None:
    """Hostile schemas included."""
    with pytest.raises((CannotInvent, SchemaTooCostly)):
        invent(schema, "x")


async def test_a_schema_that_is_none_is_an_issue_at_its_place() -> None:
    """Before anything is called."""
    provider = SandboxProvider()
    (issue,) = await provider.validate_payload("json", _payload(schema={"type": "thing"}))
    assert (issue.code, issue.path) == ("schema_unusable", "/parameters/schema")
    with pytest.raises(UnusableSchema):
        invent({"type": "thing"}, "x")


def test_integers_beyond_2_53_are_invented_exactly() -> None:
    """A schema may ask for identifiers of 64 bits and more."""
    schema = {"type": "integer", "minimum": 1497549923779084389, "multipleOf": 2}
    assert invent(schema, "x") == 1497549923779084390
