"""What the intake counts, for `/metrics`."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from functools import cache

from prometheus_client import Counter, Histogram

from chassis.tenant_labels import tenant_label
from orchestrator.aggregate import C
from orchestrator.intake.records import ParsedRecord
from orchestrator.ports import StoredEvent

COMMANDS = Counter("sayso_commands_total", "Commands taken in", ["kind"])
EVENTS = Counter("sayso_events_total", "Events recorded", ["kind", "tenant"])
BATCH = Histogram("sayso_batch_commands", "Commands a batch", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500))
REPLAYED = Counter("sayso_commands_replayed_total", "Commands below the ledger's position, published again")

_commands, _events = cache(COMMANDS.labels), cache(EVENTS.labels)  # finding one costs more than counting


def observe(fresh: Sequence[ParsedRecord[C]], events: Sequence[StoredEvent]) -> None:
    """Count one batch."""
    BATCH.observe(len(fresh))
    for kind, count in Tally([parsed.command.kind if parsed.command else "malformed" for parsed in fresh]).items():
        _commands(kind).inc(count)
    for (kind, tenant), count in Tally([(stored.event.kind, stored.event.tenant) for stored in events]).items():
        _events(kind, tenant_label(tenant)).inc(count)
