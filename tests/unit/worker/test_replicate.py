"""The Replicate provider without a server: names, schemas, places for prompts and files, audits, prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from chassis.settings import Settings
from contracts.work import CallIntent, Failure, PrepareOrder, Severity
from provider_worker.fakes.memory import MemoryShelves
from provider_worker.fakes.replicate_models import MIXER, PAINTER, WRITER
from provider_worker.preparing import Preparing
from provider_worker.providers.base import Attachment, Call, ProviderError
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.registry import Registry
from provider_worker.providers.replicate import ReplicateProvider, prices
from provider_worker.providers.replicate.auditing import audit_prediction
from provider_worker.providers.replicate.failures import of_end, of_known, of_refusal
from provider_worker.providers.replicate.fields import fill
from provider_worker.providers.replicate.hosts import BASE_URL, HIDDEN, Hider, delivers
from provider_worker.providers.replicate.naming import Reference, choose, parse
from provider_worker.providers.replicate.schemas import input_schema, speaks_in_pieces
from provider_worker.providers.validation import compile_schema
from provider_worker.sanitizing import Sanitizer
from unit.worker.conftest import MakePrepare

V1, V2 = "1" * 64, "a2" * 32
IMAGE, AUDIO, LINK = (
    Attachment("artifact:i", "image/png", 1),
    Attachment("artifact:a", "audio/wav", 1),
    Attachment("https://x/y"),
)
URI = {"type": "string", "format": "uri"}
TEXT = {"type": "string"}


def _filled(fields: dict[str, Any], attachments: list[Attachment], **given: Any) -> dict[str, Any]:
    required, example = given.pop("required", []), given.pop("example", False)
    intent = CallIntent(**{"provider": "replicate", "prompt": "Hello", **given})
    return fill(intent, attachments, fields, required, example=example)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("a/b", Reference("a/b", None)),
        (f"a/b.c-d_2:{V1}", Reference("a/b.c-d_2", V1)),
        (f" {V2} ", Reference(None, V2)),
        ("a", None),
        ("a/b/c", None),
        ("a/b:latest", None),
        ("a/../b", None),
        ("a/b?x=1", None),
        (None, None),
    ],
)
def test_models_are_named_in_three_ways(text: str | None, reference: Reference | None) -> None:
    """By name, by name and version, by version; anything else is no name, and reaches no path."""
    assert parse(text) == reference


@pytest.mark.parametrize(
    ("model", "latest", "chosen"),
    [
        ("a/b", None, Reference("a/b", None)),
        ("a/b", V1, Reference("a/b", V1)),
        (f"a/b:{V2}", V1, Reference("a/b", V2)),
        ("a/b", f"c/d:{V1}", Reference("a/b", None)),
        ("flux", f"c/d:{V1}", Reference("c/d", V1)),
        ("flux", V1, Reference(None, V1)),
        (None, V1, Reference(None, V1)),
    ],
)
def test_an_agent_tool_s_version_completes_a_model(model: str | None, latest: str | None, chosen: Reference) -> None:
    """Unless the model is another one, or names its version itself."""
    assert choose(model, {"latest_version": latest} if latest else None) == chosen


@pytest.mark.parametrize("model", ["flux", None])
def test_a_model_that_is_no_name_is_an_issue_with_the_intent(model: str | None) -> None:
    """Which a person can mend."""
    with pytest.raises(ProviderError) as failed:
        choose(model, {"name": "flux"})
    assert failed.value.failure.issues[0].path == "/model"


def test_a_model_s_schema_is_written_out() -> None:
    """References, and OpenAPI's own words, become plain JSON Schema with defaults and descriptions kept."""
    schema = input_schema(PAINTER)
    assert schema is not None
    assert "$ref" not in str(schema)
    ratio = schema["properties"]["aspect_ratio"]
    assert (ratio["enum"], ratio["default"], ratio["type"]) == (["1:1", "3:2", "2:3"], "1:1", "string")
    assert compile_schema(schema).is_valid({"prompt": "x", "seed": None})
    assert not compile_schema(schema).is_valid({"prompt": "x", "aspect_ratio": "9:9"})


def _input(**properties: Any) -> dict[str, Any]:
    return {"components": {"schemas": {"Input": {"type": "object", "properties": properties}}}}


def test_bounds_are_carried_over() -> None:
    """Exclusive ones in OpenAPI's way too; those beyond what JSON can count are left out."""
    given = {
        "strict": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        "loose": {"type": "number", "maximum": 1, "exclusiveMaximum": False},
        "seed": {"type": "integer", "maximum": 2**64},
    }
    schema = input_schema(_input(**given))
    assert schema is not None
    assert schema["properties"] == {
        "strict": {"type": "number", "exclusiveMinimum": 0},
        "loose": {"type": "number", "maximum": 1},
        "seed": {"type": "integer"},
    }


@pytest.mark.parametrize(
    "openapi", [None, {}, {"components": []}, _input() | {"components": {"schemas": {"Input": 7}}}]
)
def test_a_version_without_a_schema_has_none(openapi: Any) -> None:
    """Whatever stands in its place."""
    assert input_schema(openapi) is None


def test_a_hostile_schema_stays_small() -> None:
    """References in circles, and those that double at each level, end somewhere."""
    circle = _input(a={"$ref": "#/components/schemas/Input"})
    assert input_schema(circle) is not None
    bomb = _input(a={"$ref": "#/components/schemas/B0"})
    for level in range(12):
        both = {"$ref": f"#/components/schemas/B{level + 1}"}
        bomb["components"]["schemas"][f"B{level}"] = {"properties": {str(n): both for n in range(9)}}
    assert len(str(input_schema(bomb))) < 100_000


def test_the_most_specific_name_gets_the_prompt() -> None:
    """Never a negative or a system prompt, and the only text that is required where no name says it."""
    assert _filled({"text": TEXT, "prompt": TEXT, "input": TEXT}, []) == {"prompt": "Hello"}
    assert _filled({"input": TEXT, "text": TEXT}, []) == {"text": "Hello"}
    assert _filled({"negative_prompt": TEXT, "system_prompt": TEXT, "tts_prompt": TEXT}, []) == {"tts_prompt": "Hello"}
    assert _filled({"language": TEXT, "lyrics": TEXT}, [], required=["lyrics"]) == {"lyrics": "Hello"}
    assert _filled({"prompt": URI, "input": TEXT}, []) == {"input": "Hello"}


def test_a_prompt_without_a_place_is_not_dropped_in_silence() -> None:
    """It stays in sight, where validation warns of it; an empty one is nothing."""
    assert _filled({"image": URI}, [IMAGE]) == {"prompt": "Hello", "image": "artifact:i"}
    assert _filled({"image": URI}, [IMAGE], prompt=" ") == {"image": "artifact:i"}


@pytest.mark.parametrize(
    ("fields", "attachments", "places"),
    [
        (["mask", "control_image", "image"], [IMAGE, LINK], {"image": IMAGE.url, "control_image": LINK.url}),
        (["mask", "input_image"], [IMAGE, LINK], {"input_image": IMAGE.url, "mask": LINK.url}),
        (["image", "song"], [AUDIO, IMAGE], {"image": IMAGE.url, "song": AUDIO.url}),
        (["file", "audio"], [AUDIO], {"audio": AUDIO.url}),
        (["file"], [AUDIO], {"file": AUDIO.url}),
        ([], [IMAGE, LINK, AUDIO], {"image": IMAGE.url, "mask": LINK.url, "audio": AUDIO.url}),
    ],
)
def test_attachments_go_where_their_kind_belongs(
    fields: list[str], attachments: list[Attachment], places: dict[str, str]
) -> None:
    """By the names of the fields, the most specific first, the mask last."""
    schema = dict.fromkeys(fields, URI) | ({"prompt": TEXT} if fields else {})
    assert _filled(schema, attachments) == {"prompt": "Hello", **places}


def test_a_list_of_files_takes_all_of_them() -> None:
    """In their order."""
    fields = {"prompt": TEXT, "image_input": {"type": "array", "items": URI}}
    assert _filled(fields, [IMAGE, LINK])["image_input"] == [IMAGE.url, LINK.url]


def test_an_attachment_without_a_place_is_refused() -> None:
    """Named by its index."""
    with pytest.raises(ProviderError) as failed:
        _filled({"prompt": TEXT, "image": URI}, [IMAGE, AUDIO])
    assert failed.value.failure.issues[0].path == "/attachments/1"


def test_parameters_keep_their_places_and_examples_give_way() -> None:
    """What a person named stays; what a tool's example names is only an example."""
    fields = {"prompt": TEXT, "image": URI, "mask": URI}
    parameters = {"image": "https://x/example.png", "seed": 7}
    assert _filled(fields, [IMAGE], parameters=parameters) == {**parameters, "prompt": "Hello", "mask": IMAGE.url}
    example = _filled(fields, [IMAGE], parameters={**parameters, "prompt": "An example"}, example=True)
    assert example == {"image": IMAGE.url, "seed": 7, "prompt": "Hello"}


@pytest.mark.parametrize(
    ("url", "delivered"),
    [
        ("https://replicate.delivery/x/out.png", True),
        ("https://pbxt.replicate.delivery/x/out.png", True),
        ("http://replicate.delivery/x", False),
        ("https://replicate.delivery.evil.example/x", False),
        ("https://evilreplicate.delivery/x", False),
        ("https://replicate.delivery@evil.example/x", False),
        ("https://api.replicate.com/v1/account", False),
        ("https://[", False),
        ("a cat", False),
    ],
)
def test_only_replicate_s_delivery_is_fetched_from(url: str, *, delivered: bool) -> None:
    """An output is a stranger's text: no address in it opens another door."""
    assert delivers(url, BASE_URL) is delivered


def test_a_stand_in_delivers_by_itself() -> None:
    """At its own origin alone."""
    assert delivers("http://127.0.0.1:9102/delivery/x", "http://127.0.0.1:9102")
    assert not delivers("http://127.0.0.1:9103/delivery/x", "http://127.0.0.1:9102")


def test_addresses_are_hidden() -> None:
    """Replicate's and its stand-in's, wherever they stand; those of others are none of its secrets."""
    hider = Hider("http://127.0.0.1:9102")
    given = {"a": ["see https://api.replicate.com/v1/predictions/x, or http://127.0.0.1:9102/y"], "n": 1}
    assert hider.json(given) == {"a": [f"see {HIDDEN} or {HIDDEN}"], "n": 1}
    assert hider.text("https://example.org/replicate") == "https://example.org/replicate"


def test_an_audit_reads_text_files_and_anything_else() -> None:
    """By what came out, and by how the version says that lists are read."""
    assert audit_prediction({"output": "Fine."}, None, in_pieces=False).response == {"text": "Fine."}
    assert audit_prediction({"output": ["a", "b"]}, None, in_pieces=True).response == {"text": "ab"}
    assert audit_prediction({"output": ["a", "b"]}, None, in_pieces=False).response == {"output": ["a", "b"]}
    assert audit_prediction({"output": "artifact:x"}, None, in_pieces=True).response == {"files": ["artifact:x"]}
    assert audit_prediction({"output": 0}, None, in_pieces=True).response == {"output": 0}
    assert (speaks_in_pieces(WRITER), speaks_in_pieces(MIXER)) == (True, False)


@pytest.mark.parametrize("output", [None, "", [], {}])
def test_no_output_is_no_answer(output: Any) -> None:
    """Although the prediction succeeded."""
    with pytest.raises(ProviderError) as failed:
        audit_prediction({"output": output}, None, in_pieces=False)
    assert failed.value.failure.code == "empty_response"


def test_what_the_model_s_own_check_took_out_is_flagged() -> None:
    """By what its log says."""
    signals = audit_prediction(
        {"output": "artifact:x", "logs": "NSFW content detected in 1"}, None, in_pieces=True
    ).signals
    assert (signals.safety_flags, signals.response_quality) == (("nsfw",), 0.3)


def test_an_end_is_told_with_the_model_s_reason() -> None:
    """For a person to understand."""
    failure = of_end({"status": "failed", "error": "CUDA out of memory"})
    assert failure is not None
    assert "CUDA out of memory" in failure.message
    assert of_end({"status": "succeeded", "data_removed": True, "output": "kept"}) is None


def test_a_prediction_that_was_lost_sight_of_is_uncertain_and_named() -> None:
    """The next attempt asks about it; what ended for good is over."""
    lost = Failure(
        code="timeout", message="No answer came in time. The call may have happened.", retryable=True, uncertain=True
    )
    known = of_known(lost.changed({"uncertain": False}), "p1")
    assert (known.uncertain, known.retryable) == (True, True)
    assert "p1" in of_known(lost, "p1").message
    assert "may have happened" not in of_known(lost, "p1").message
    ended = Failure(code="prediction_failed", message="It failed.")
    assert of_known(ended, "p1") == ended


def test_a_refusal_that_is_no_json_is_a_refusal_all_the_same() -> None:
    """By its status."""
    assert of_refusal(502, {}, b"<html>").code == "provider_error"


def test_a_second_costs_what_its_hardware_costs() -> None:
    """Where an answer names the hardware; without a price or a count nothing is claimed."""
    table = PriceTable.of("provider_worker.providers.replicate")
    payload = {"version": f"a/b:{V1}", "input": {}}
    known = prices.prices_of(table, payload, {"hardware": "gpu-t4"})
    assert prices.cost_of(known, {"predict_time": 10}, 0) == Decimal("0.00225")
    assert prices.cost_of(known, {}, 0) is None
    assert prices.prices_of(table, payload, {"hardware": "gpu-x"}) is None
    assert prices.prices_of(table, payload, {}) is None


async def test_without_a_token_a_run_is_prepared_and_not_called(
    prepare_order: MakePrepare, shelves: MemoryShelves, sanitizer: Sanitizer
) -> None:
    """The payload says what would be sent, the issues why it is not."""
    provider = ReplicateProvider.from_settings(Settings(_env_file=None))
    order: PrepareOrder = prepare_order(provider="replicate", model=f"a/b:{V1}", parameters={"seed": 7})
    prepared = await Preparing(Registry([provider]), shelves, sanitizer).prepare(order)
    assert prepared.payload == {"version": f"a/b:{V1}", "input": {"seed": 7, "prompt": "Hello"}}
    codes = {issue.code: issue.severity for issue in prepared.issues}
    assert codes == {"provider_unconfigured": Severity.ERROR, "schema_unknown": Severity.WARNING}
    with pytest.raises(ProviderError) as failed:
        await provider.execute(prepared.payload, Call("predict", None, 1, "w:1", shelves.of("acme")))
    assert failed.value.failure.code == "provider_unconfigured"


async def test_other_members_of_a_prediction_are_not_for_sale() -> None:
    """An edit cannot add a webhook: it would send what was approved for here to somewhere else."""
    provider = ReplicateProvider(None, None)
    payload = {"version": V1, "input": {}, "webhook": "https://evil.example"}
    codes = [issue.code for issue in await provider.validate_payload("predict", payload)]
    assert "schema_additionalProperties" in codes
