"""What the intake counts: events by kind and tenant."""

from __future__ import annotations

from uuid import uuid4

from prometheus_client import REGISTRY

from orchestrator.intake.metrics import observe
from orchestrator.ports import StoredEvent
from testkit.runs.commands import start
from testkit.runs.specification import given


def counted(kind: str, tenant: str) -> float:
    """Return how many events of a kind a tenant has."""
    return REGISTRY.get_sample_value("sayso_events_total", {"kind": kind, "tenant": tenant}) or 0.0


def test_events_are_counted_by_kind_and_tenant() -> None:
    """So that an operator sees whose runs start, wait and end."""
    before = [counted("run-started.v1", tenant) for tenant in ("acme", "other corp")]
    histories = [given(start().but(tenant=tenant, run_id=uuid4())).history for tenant in ("acme", "acme", "other corp")]
    observe([], [StoredEvent(event.run_id, event, b"") for history in histories for event in history])
    after = [counted("run-started.v1", tenant) for tenant in ("acme", "other corp")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1]
