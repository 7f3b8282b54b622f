"""The AsyncAPI document comes of the contracts, and says what the services really do."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from starlette.applications import Starlette

from chassis.settings import Settings, load_settings
from contracts import topics
from contracts.asyncapi import READERS, WRITERS, document
from contracts.runs.events import EVENT_KINDS
from gateway import app as gateway
from notifier import app as notifier
from orchestrator import app as orchestrator
from provider_worker import app as provider_worker

ROOT = Path(__file__).parents[3]
CHECKED_IN = ROOT / "docs" / "asyncapi.json"


def test_the_checked_in_document_is_the_generated_one() -> None:
    """On failure: `python -m contracts.asyncapi > docs/asyncapi.json`."""
    assert json.loads(CHECKED_IN.read_text()) == document()


def test_it_is_an_asyncapi_document() -> None:
    """FastStream's own model of AsyncAPI 3.0 takes it."""
    found = document()
    found["servers"]["kafka"]["pathname"] = "/"  # optional in the specification, required by the model
    ApplicationSchema.model_validate(found)


def test_it_lists_every_kind_of_event() -> None:
    """Analysts find all that can come on `run.events`."""
    assert set(document()["channels"]["run.events"]["messages"]) == set(EVENT_KINDS)


def test_every_golden_record_is_valid_under_its_schema() -> None:
    """The schemas are those of the bytes that are really sent."""
    found = document()
    for kind in EVENT_KINDS:
        golden = next((ROOT / "tests").rglob(f"{kind}.json"))
        record: Any = json.loads(golden.read_text())
        schema = {**found["components"]["messages"][kind]["payload"], "components": found["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(record)


APPS: dict[str, Callable[[Settings], Starlette]] = {
    "gateway": gateway.create_app,
    "notifier": notifier.create_app,
    "orchestrator": orchestrator.create_app,
    "provider-worker": provider_worker.create_app,
}


def declared(service: str) -> dict[str, set[str]]:
    """Return the topics that a service declares on its brokers, as FastStream's own document names them: received and sent."""
    before = {id(thing) for thing in gc.get_objects() if isinstance(thing, KafkaBroker)}
    app = APPS[service](load_settings())
    brokers = [thing for thing in gc.get_objects() if isinstance(thing, KafkaBroker) and id(thing) not in before]
    found: dict[str, set[str]] = {"receive": set(), "send": set()}
    for broker in brokers:
        told = AsyncAPI(broker).to_specification().to_jsonable()
        for operation in told["operations"].values():
            channel = told["channels"][operation["channel"]["$ref"].removeprefix("#/channels/")]
            found[operation["action"]].add(channel["address"])
    del app
    return found


@pytest.mark.parametrize("service", APPS)
def test_a_service_declares_what_the_document_says_of_it(service: str) -> None:
    """FastStream, asked for the service's own document, names the topics that it reads and writes here, and no other."""

    def of(table: Mapping[topics.Topic, tuple[str, ...]]) -> set[str]:
        return {topic.name for topic, services in table.items() if service in services}

    assert declared(service) == {"receive": of(READERS), "send": of(WRITERS)}
