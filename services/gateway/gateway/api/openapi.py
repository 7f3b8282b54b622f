"""The OpenAPI document, with what FastAPI cannot see: the writes, which are plain Starlette routes, and the problem documents."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from contracts.runs.requests import RunInput, RunRequest, WrappedRunInput
from contracts.runs.views import RunView
from gateway.api.decisions import BODIES, START_PATHS
from gateway.api.examples import ACTIONS, STARTS
from gateway.http.fast_path import FrontedApi
from gateway.http.problem_schemas import ProblemDocument, problems

DESCRIPTION = """
A person's signature between an AI call and its consequences. Start a run, read what waits, decide.

Every write takes an `Idempotency-Key`: the same key and body always get the same answer. `If-Match` with a version in
quotes lets a write take effect on that version alone. Errors are problem documents (RFC 9457) with a `code`.
"""

TAGS = [
    {"name": "runs", "description": "AI calls and how far they have come."},
    {"name": "decisions", "description": "What a person says to a run."},
    {"name": "approvals", "description": "What waits for a person."},
    {"name": "artifacts", "description": "Files, by the hash of their content."},
    {"name": "providers", "description": "What can be called."},
]

_STARTS = (RunRequest, WrappedRunInput, RunInput)
_KEY = {
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
    "forbidden",
    "payload_too_large",
    "unsupported_media_type",
    "validation_failed",
    "idempotency_key_reused",
    "unavailable",
)
_DECIDING = ("run_not_found", "checkpoint_already_decided", "checkpoint_mismatch", "subject_changed", "not_allowed")


class DescribedApi(FrontedApi):
    """A FastAPI application whose document tells of the writes too."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["schemas"] = {**_schemas(), **document["components"]["schemas"]}
            for path, item in _paths().items():
                document["paths"].setdefault(path, {}).update(item)
            self.openapi_schema = document
        return self.openapi_schema


def _paths() -> dict[str, dict[str, Any]]:
    paths = {path: {"post": _starting(path)} for path in START_PATHS}
    for action in BODIES:
        paths[f"/hitl/runs/{{run_id}}/{action}"] = {"post": _acting(action)}
    return paths


def _starting(path: str) -> dict[str, Any]:
    return {
        "tags": ["runs"],
        "summary": "Start a run",
        "description": "Answers with the run's view at once; the call is prepared meanwhile.",
        "operationId": f"start_run{path.replace('/', '_')}",
        "parameters": [_KEY],
        "requestBody": _body({"anyOf": [_ref(shape) for shape in _STARTS]}, STARTS, required=True),
        "responses": _responses("201", problems("precondition_failed", *_COMMON)),
    }


def _acting(action: str) -> dict[str, Any]:
    example = ACTIONS[action]
    return {
        "tags": ["decisions"],
        "summary": example.summary,
        "operationId": f"{action}_run",
        "parameters": [_RUN_ID, _KEY, _IF_MATCH],
        "requestBody": _body(_ref(BODIES[action]), {action: {"value": example.body}}, required=action == "edit"),
        "responses": _responses("200", problems(*_DECIDING, "precondition_failed", *_COMMON)),
    }


def _body(schema: dict[str, Any], examples: dict[str, Any], *, required: bool) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": schema, "examples": examples}}}


def _responses(status: str, further: dict[int | str, dict[str, Any]]) -> dict[str, Any]:
    view = {"application/json": {"schema": _ref(RunView)}}
    late = {"type": "object", "properties": {"run_id": {"type": "string"}, "command_id": {"type": "string"}}}
    return {
        status: {"description": "The run's view", "content": view},
        "202": {"description": "Accepted; the outcome is late", "content": {"application/json": {"schema": late}}},
        **{str(code): response for code, response in further.items()},
    }


def _ref(model: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas() -> dict[str, Any]:
    template = "#/components/schemas/{model}"
    bodies = {*_STARTS, *BODIES.values()}
    taken = models_json_schema(
        [(m, "validation") for m in sorted(bodies, key=lambda m: m.__name__)], ref_template=template
    )
    given = models_json_schema([(ProblemDocument, "serialization")], ref_template=template)
    # Contracts ignore what they do not know; this door does not.
    closed = {name: _closed(schema) for name, schema in taken[1]["$defs"].items()}
    return {**closed, **given[1]["$defs"]}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "additionalProperties": False} if "properties" in schema else schema
