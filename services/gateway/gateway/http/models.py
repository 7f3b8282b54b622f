"""From JSON to the models of a request: strict types, unknown members refused, each issue at its member. Sends nothing."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from chassis.http.problems import issue, issues_of
from contracts.json_pointer import pointer
from contracts.runs.requests import RunInput, RunRequest, StartBody, WrappedRunInput
from contracts.validation.faults import faults_of
from gateway.http.problems import invalid

MOST_MEMBERS = 100
"""Members of a body, many more than any model has: each that is unknown costs as much as a small request."""

_Model = TypeVar("_Model", bound=BaseModel)

_RUN_INPUT_ALONE = RunInput.model_fields.keys() - StartBody.model_fields.keys()


class Start(NamedTuple):
    """A request to start a run, and the place in the body where the provider is named."""

    request: RunRequest
    provider_at: str


def read_model(model: type[_Model], body: bytes, raw: Any) -> _Model:
    """Return `body` as a model; `raw` is the same body, parsed. Raises Problem."""
    if isinstance(raw, dict) and len(raw) > MOST_MEMBERS:
        raise invalid(
            [issue("", "too_long", f"no request has more than {MOST_MEMBERS} members, and this one has {len(raw)}")]
        )
    try:
        return model.model_validate_json(body, strict=True, extra="forbid")
    except ValidationError as error:
        raise invalid(issues_of(error, raw, model)) from None


def read_start(body: bytes, raw: Any) -> Start:
    """Return the request of any of the three shapes of a start. Raises Problem in the terms of the shape that was meant."""
    shape = shape_of(raw)
    if shape is StartBody:
        return Start(read_model(StartBody, body, raw).to_request(), "/provider")
    if shape is WrappedRunInput:
        wrapped = read_model(WrappedRunInput, body, raw)
        return _start(wrapped, wrapped.run_input, "/run_input")
    bare = read_model(RunInput, body, raw)
    return _start(bare, bare, "")


def shape_of(raw: Any) -> type[StartBody | WrappedRunInput | RunInput]:
    """Return the shape that a body was meant to have, by its members."""
    members = raw.keys() if isinstance(raw, dict) else set()
    if "run_input" in members:
        return WrappedRunInput
    return RunInput if members & _RUN_INPUT_ALONE else StartBody


def _start(shape: WrappedRunInput | RunInput, run_input: RunInput, at: str) -> Start:
    tool = at + pointer(["agent_tool_config", *list(run_input.agent_tool_config)[:1]])
    try:
        return Start(shape.to_request(), tool)
    except ValidationError as error:
        # The call is made of the tool's data: an issue of the call is reported there.
        places = {"provider": tool, "model": f"{tool}/data/name", "parameters": f"{tool}/data/example_input"}
        raise invalid(
            [
                issue(places.get(str(fault.places[0]), f"{at}/{fault.places[0]}"), fault.code, fault.message)
                for fault in faults_of(error)
            ]
        ) from None
