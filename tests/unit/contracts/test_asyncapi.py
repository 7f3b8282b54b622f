"""The AsyncAPI document comes of the contracts, and says what the services really do."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from contracts import topics
from contracts.asyncapi import READERS, document
from contracts.runs.events import EVENT_KINDS

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


def test_its_readers_are_the_services_that_subscribe() -> None:
    """Who reads what is read off the services' own calls; request and reply reads outcomes."""
    found: dict[str, set[str]] = {}
    for service in (ROOT / "services").iterdir():
        for source in service.rglob("*.py"):
            for node in ast.walk(ast.parse(source.read_text())):
                for name in _subscribed(node):
                    found.setdefault(getattr(topics, name).name, set()).add(service.name)
    assert found == {topic.name: set(services) for topic, services in READERS.items()}


def _subscribed(node: ast.AST) -> list[str]:
    match node:
        case ast.Call(func=ast.Name(id="subscribe_group" | "subscribe_broadcast"), args=args):
            return [arg.id for arg in args if isinstance(arg, ast.Name) and arg.id.isupper()]
        case ast.Call(func=ast.Name(id="RequestReply")):
            return ["OUTCOMES"]
    return []
