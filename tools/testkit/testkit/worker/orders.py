"""Orders as the orchestrator makes them, with members as a test wants them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from contracts.json_values import digest
from contracts.providers.call import CallIntent
from contracts.providers.orders import CheckOrder, ExecuteOrder, PrepareOrder

MakePrepare = Callable[..., PrepareOrder]
MakeExecute = Callable[..., ExecuteOrder]


def a_prepare_order(**given: Any) -> PrepareOrder:
    """Make a prepare order; members of the intent are told apart by name."""
    intent = {name: given.pop(name) for name in [*CallIntent.model_fields] if name in given}
    return PrepareOrder(**_order(**given), intent=CallIntent(**{"provider": "sandbox", "prompt": "Hello", **intent}))


def an_execute_order(**given: Any) -> ExecuteOrder:
    """Make an execute order: for a sandbox by its parameters, for OpenAI by its prompt."""
    provider = given.setdefault("provider", "sandbox")
    is_openai = provider == "openai"
    prompt, parameters = given.pop("prompt", "Hello"), given.pop("parameters", {})
    model = given.setdefault("model", "fake-1" if is_openai else "sandbox-1")
    chat = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    sandbox = {"model": model, "prompt": prompt, "parameters": parameters}
    payload = given.pop("payload", None) or (chat if is_openai else sandbox)
    usual = {"operation": "text", "payload_sha256": digest(payload)}
    return ExecuteOrder(**_order(**{**usual, **given}), payload=payload)


def a_check_order(**given: Any) -> CheckOrder:
    """Make a check order for the sandbox."""
    model = given.setdefault("model", "sandbox-1")
    payload = given.pop("payload", None) or {"model": model, "prompt": "Hello", "parameters": {}}
    return CheckOrder(
        **_order(**{"provider": "sandbox", "operation": "text", "prompt": "Hello", **given}), payload=payload
    )


def _order(**given: Any) -> dict[str, Any]:
    return {
        "run_id": uuid4(),
        "work_id": f"work-{uuid4().hex}",
        "attempt": 1,
        "tenant": "acme",
        "deadline": datetime.now(UTC) + timedelta(minutes=5),
        "lease_seconds": 60,
        **given,
    }
