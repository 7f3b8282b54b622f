"""Every fault, in groups that share a stage, in the order of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaos.faults import (
    Fault,
    brokers,
    clients,
    clocks,
    databases,
    deliveries,
    everything,
    instances,
    malformed,
    places,
    processes,
    refusals,
)

GROUPS: Mapping[str, Sequence[Fault]] = {
    "processes": processes.FAULTS,
    "places": places.FAULTS,
    "instances": instances.FAULTS,
    "kafka": brokers.FAULTS,
    "postgres": databases.FAULTS,
    "deliveries": [*deliveries.FAULTS, *refusals.FAULTS, *malformed.FAULTS],
    "clocks": clocks.FAULTS,
    "clients": clients.FAULTS,
}

NAMES = [fault.name for group in GROUPS.values() for fault in group] + [everything.NAME]
