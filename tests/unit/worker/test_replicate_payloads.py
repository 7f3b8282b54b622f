"""Requests to Replicate, without a server: models by their names, prompts and files in their places."""

from __future__ import annotations

from typing import Any

import pytest

from chassis.settings import Settings
from contracts.providers.call import CallIntent, Severity
from contracts.providers.orders import PrepareOrder
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.base import Attachment, Call, ProviderError
from provider_worker.providers.registry import Registry
from provider_worker.providers.replicate import ReplicateProvider
from provider_worker.providers.replicate.models.fields import fill
from provider_worker.providers.replicate.models.model_names import Reference, choose, named_again, parse
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts
from testkit.worker.orders import MakePrepare

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
    ("edited", "before", "named"),
    [
        ("acme/pics:" + "a" * 64, "acme/pics", "acme/pics"),
        ("acme/pics:" + "b" * 64, "acme/pics:" + "a" * 64, "acme/pics:" + "b" * 64),
        ("acme/words", "acme/pics", "acme/words"),
        ("nonsense", "acme/pics", "acme/pics"),
        ("acme/words", None, "acme/words"),
    ],
)
def test_an_edited_payload_keeps_the_model_s_name_while_it_means_the_same(
    edited: str, before: str | None, named: str
) -> None:
    """An edit of the input does not rename the model to its version; an edit of the version does."""
    assert named_again(parse(edited), before) == named


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
    """A person's own value stays; a tool's example is only an example."""
    fields = {"prompt": TEXT, "image": URI, "mask": URI}
    parameters = {"image": "https://x/example.png", "seed": 7}
    assert _filled(fields, [IMAGE], parameters=parameters) == {**parameters, "prompt": "Hello", "mask": IMAGE.url}
    example = _filled(fields, [IMAGE], parameters={**parameters, "prompt": "An example"}, example=True)
    assert example == {"image": IMAGE.url, "seed": 7, "prompt": "Hello"}


async def test_without_a_token_a_run_is_prepared_and_not_called(
    prepare_order: MakePrepare, artifacts: MemoryArtifacts, sanitizer: Sanitizer
) -> None:
    """The payload says what would be sent, the issues why it is not."""
    provider = ReplicateProvider.from_settings(Settings(_env_file=None))
    order: PrepareOrder = prepare_order(provider="replicate", model=f"a/b:{V1}", parameters={"seed": 7})
    prepared = await Preparer(Registry([provider]), artifacts, sanitizer).prepare(order)
    assert prepared.payload == {"version": f"a/b:{V1}", "input": {"seed": 7, "prompt": "Hello"}}
    codes = {issue.code: issue.severity for issue in prepared.issues}
    assert codes == {"provider_unconfigured": Severity.ERROR, "schema_unknown": Severity.WARNING}
    with pytest.raises(ProviderError) as failed:
        await provider.execute(prepared.payload, Call("predict", None, 1, "w:1", artifacts.of("acme")))
    assert failed.value.failure.code == "provider_unconfigured"


async def test_other_members_of_a_prediction_are_not_for_sale() -> None:
    """An edit cannot add a webhook: it would send an approved result to another place."""
    provider = ReplicateProvider(None, None)
    payload = {"version": V1, "input": {}, "webhook": "https://evil.example"}
    codes = [issue.code for issue in await provider.validate_payload("predict", payload)]
    assert "schema_additionalProperties" in codes
