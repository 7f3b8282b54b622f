"""The AsyncAPI document, made of the contracts: every topic, its writers and readers, and the schema of every message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from contracts.providers.call_stream import HoldCall, PartialOutput, ReleaseBudget, StopCall
from contracts.providers.capabilities import Capabilities
from contracts.providers.orders import Order
from contracts.runs.commands import AnyCommand
from contracts.runs.events import EVENT_KINDS
from contracts.runs.outcomes import Outcome
from contracts.runs.run_event import RunEvent
from contracts.topics import (
    CATALOG,
    COMMANDS,
    EVENTS,
    MAX_RECORD_BYTES,
    OUTCOMES,
    PARTIALS,
    RUN_TOPICS,
    STOPS,
    WORK,
    Topic,
)

VERSION = "1.0.0"

WRITERS: Mapping[Topic, tuple[str, ...]] = {
    COMMANDS: ("gateway", "notifier", "provider-worker", "orchestrator"),
    EVENTS: ("orchestrator",),
    WORK: ("orchestrator",),
    OUTCOMES: ("orchestrator",),
    CATALOG: ("provider-worker",),
    PARTIALS: ("provider-worker",),
    STOPS: ("orchestrator",),
}
"""The services that write a topic."""

READERS: Mapping[Topic, tuple[str, ...]] = {
    COMMANDS: ("orchestrator",),
    EVENTS: ("gateway", "notifier"),
    WORK: ("provider-worker",),
    OUTCOMES: ("gateway", "notifier"),
    CATALOG: ("gateway",),
    PARTIALS: ("gateway", "notifier"),
    STOPS: ("provider-worker",),
}
"""The services that read a topic. Outsiders read `run.events`."""

_REF = "#/components/schemas/{model}"


def document() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document as JSON."""
    schemas, messages = _schemas(), _messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sayso on Kafka",
            "version": VERSION,
            "description": (
                "Analysts read `run.events`: in order per run, at least once; skip a (run_id, version) that you have seen, "
                "and ignore kinds and members that you do not know. The other topics are internal to the services."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "variables": {"bootstrap": {"default": "127.0.0.1:9092"}},
            }
        },
        "channels": {topic.name: _channel(topic, messages[topic]) for topic in RUN_TOPICS},
        "operations": {
            f"{service}.{action}.{topic.name}": _operation(topic, action, service)
            for action, table in (("send", WRITERS), ("receive", READERS))
            for topic, services in table.items()
            for service in services
        },
        "components": {
            "messages": {name: message for named in messages.values() for name, message in named.items()},
            "schemas": schemas,
        },
    }


def _models() -> list[type[BaseModel]]:
    about_calls = (PartialOutput, HoldCall, StopCall, ReleaseBudget)
    own = [*get_args(AnyCommand), *get_args(Outcome), *get_args(Order), Capabilities, *about_calls]
    return [*own, RunEvent, *EVENT_KINDS.values()]


def _schemas() -> dict[str, Any]:
    _, definitions = models_json_schema([(model, "serialization") for model in _models()], ref_template=_REF)
    schemas: dict[str, Any] = definitions["$defs"]
    envelope = schemas.pop("RunEvent")
    for kind, event in EVENT_KINDS.items():
        members = {
            **envelope["properties"],
            "kind": {"const": kind},
            "data": {"$ref": _REF.format(model=event.__name__)},
        }
        schemas[_record_name(event)] = {
            **envelope,
            "title": kind,
            "description": event.__doc__ or kind,
            "properties": members,
        }
    return schemas


def _messages() -> dict[Topic, dict[str, Any]]:
    kinds: dict[Topic, list[tuple[str, str]]] = {
        COMMANDS: [_named(model) for model in get_args(AnyCommand)],
        EVENTS: [(kind, _record_name(event)) for kind, event in EVENT_KINDS.items()],
        WORK: [_named(model) for model in get_args(Order)],
        OUTCOMES: [_named(model) for model in get_args(Outcome)],
        CATALOG: [("capabilities", "Capabilities")],
        PARTIALS: [_named(PartialOutput)],
        STOPS: [_named(HoldCall), _named(StopCall), _named(ReleaseBudget)],
    }
    return {
        topic: {name: {"name": name, "payload": {"$ref": _REF.format(model=model)}} for name, model in named}
        for topic, named in kinds.items()
    }


def _named(model: type[BaseModel]) -> tuple[str, str]:
    return str(model.model_fields["kind"].default), model.__name__


def _record_name(event: type[BaseModel]) -> str:
    return f"{event.__name__}Record"


def _channel(topic: Topic, messages: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {"topic": topic.name, "partitions": topic.partitions, "bindingVersion": "0.5.0"}
    retained = {"cleanup.policy": ["compact"]} if topic.retention_ms is None else {"retention.ms": topic.retention_ms}
    settings["topicConfiguration"] = {**retained, "max.message.bytes": MAX_RECORD_BYTES}
    return {
        "address": topic.name,
        "description": topic.holds,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": settings},
    }


def _operation(topic: Topic, action: str, service: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "title": f"{service} {'writes' if action == 'send' else 'reads'} {topic.name}",
        "tags": [{"name": service}],
    }


if __name__ == "__main__":
    import json
    import sys

    json.dump(document(), sys.stdout, indent=1)
    sys.stdout.write("\n")
