"""The parts of the OpenAPI document that FastAPI does not make: the operations of the hot routes, and their schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from contracts.runs.decisions import BODIES, Action
from contracts.runs.requests import RunInput, RunRequest, StartBody, WrappedRunInput
from contracts.runs.tasks.bodies import PEOPLES_BODIES
from contracts.runs.views import RunView
from gateway.api.api_keys.models import KeyBody, RotationBody
from gateway.api.examples import ACTIONS, STARTS
from gateway.http.parameters import AtVersion
from gateway.http.problem_schemas import ProblemDocument, problems

DESCRIPTION = """
A person's signature between an AI call and its consequences. Start a run, read what waits, decide.

Writes on runs, files and absences take an `Idempotency-Key`: the same key and body always get the same answer. Writes on
API keys do not: asked for twice, two keys are made. `If-Match` with a version in quotes lets a write on a run take effect on
that version alone. Errors are problem documents (RFC 9457) with a `code`.
"""

TAGS = [
    {"name": "runs", "description": "AI calls and how far they have come."},
    {"name": "decisions", "description": "What a person says to a run."},
    {"name": "approvals", "description": "What waits for a person."},
    {"name": "tasks", "description": "Who does what waits, and what people say of it."},
    {"name": "artifacts", "description": "Files, by the hash of their content."},
    {"name": "providers", "description": "What can be called."},
    {"name": "identity", "description": "Who one is, and the keys that say so."},
    {"name": "service", "description": "What runs here."},
]

Operation = Mapping[str, Any]

_STARTS = (RunRequest, WrappedRunInput, RunInput)
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "The same key and body always get the same answer.",
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string", "examples": ['"5"']},
    "description": "The version that the run must still have, in quotes.",
}
_RUN_ID = {"name": "run_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_COMMON = (
    "payload_too_large",
    "unsupported_media_type",
    "validation_failed",
    "idempotency_key_reused",
    "unavailable",
)
_DECIDING = (
    "run_not_found",
    "checkpoint_already_decided",
    "checkpoint_mismatch",
    "subject_changed",
    "not_allowed",
    "newer_history",
    "history_too_long",
)


def start_operation(path: str) -> Operation:
    """Describe the start of a run."""
    return {
        "tags": ["runs"],
        "summary": "Start a run",
        "description": "Answers with the run's view at once; the call is prepared meanwhile.",
        "operationId": f"start_run{path.replace('/', '_')}",
        "parameters": [KEY],
        "requestBody": _body({"anyOf": [_ref(shape) for shape in _STARTS]}, STARTS, required=True),
        "responses": _responses("201", problems("precondition_failed", *_COMMON)),
    }


def action_operation(action: Action) -> Operation:
    """Describe an action on a run."""
    example = ACTIONS[action]
    return {
        "tags": ["decisions"],
        "summary": example.summary,
        "operationId": f"{action}_run",
        "parameters": [_RUN_ID, KEY, _IF_MATCH],
        "requestBody": _body(_ref(BODIES[action]), {action: {"value": example.body}}, required=action == "edit"),
        "responses": _responses("200", problems(*_DECIDING, "precondition_failed", *_COMMON)),
    }


def write(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return what FastAPI's document lacks of a write whose body it does not read: the body, and the headers of every write."""
    return {"parameters": [KEY, _IF_MATCH], **body(model, required=required)}


def body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return the body of a write that FastAPI does not read."""
    return {"requestBody": {"required": required, "content": _json(_ref(model))}}


def read_operation(description: str) -> Operation:
    """Describe the read of a run, as FastAPI does for the other reads."""
    run_id = {"name": "run_id", "in": "path", "required": True, "schema": {"type": "string", "title": "Run Id"}}
    refusals = problems("run_not_found", "validation_failed", "unavailable")
    return {
        "tags": ["runs"],
        "summary": "Read a run",
        "description": description,
        "operationId": "read_run_hitl_runs__run_id__get",
        "parameters": [run_id, *_query(AtVersion)],
        "responses": {
            "200": {"description": "Successful Response", "content": _json(_ref(RunView))},
            **{str(code): response for code, response in refusals.items()},
        },
    }


def described(document: dict[str, Any], operations: Iterable[tuple[str, str, Operation]]) -> dict[str, Any]:
    """Return FastAPI's document with these operations, by method and path, and the schemas they name."""
    paths, schemas = document["paths"], document["components"]["schemas"]
    for method, path, operation in operations:
        paths[path] = {**paths.get(path, {}), method.lower(): operation}
    return {**document, "components": {**document["components"], "schemas": {**_schemas(), **schemas}}}


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    properties: dict[str, dict[str, Any]] = model.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema["description"],
            "schema": {key: value for key, value in schema.items() if key != "default"},
        }
        for name, schema in properties.items()
    ]


def _body(schema: dict[str, Any], examples: dict[str, Any], *, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": schema, "examples": examples}}}


def _responses(status: str, refusals: dict[int | str, dict[str, Any]]) -> dict[str, Any]:
    late = {"type": "object", "properties": {"run_id": {"type": "string"}, "command_id": {"type": "string"}}}
    return {
        status: {"description": "The run's view", "content": _json(_ref(RunView))},
        "202": {"description": "Accepted; the outcome is late", "content": _json(late)},
        **{str(code): response for code, response in refusals.items()},
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(model: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas() -> dict[str, Any]:
    template = "#/components/schemas/{model}"
    taken: set[type[BaseModel]] = {
        StartBody,
        WrappedRunInput,
        RunInput,
        *BODIES.values(),
        *PEOPLES_BODIES,
        KeyBody,
        RotationBody,
    }
    bodies = sorted(taken, key=lambda model: model.__name__)
    _, requests = models_json_schema([(model, "validation") for model in bodies], ref_template=template)
    _, answers = models_json_schema([(ProblemDocument, "serialization")], ref_template=template)
    # Contracts ignore unknown members; bodies over HTTP may have none.
    closed = {name: _closed(schema) for name, schema in requests["$defs"].items()}
    # Clients are made of this document: the shape keeps its name, with the rules for what comes from outside.
    closed[RunRequest.__name__] = {**closed.pop(StartBody.__name__), "title": RunRequest.__name__}
    return {**closed, **answers["$defs"]}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "additionalProperties": False} if "properties" in schema else schema
