"""Every fault, in groups that share a stage, in the order of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaos.faults import Fault
from chaos.faults.backends import brokers, clocks, databases
from chaos.faults.services import failpoints, instances, processes, whole_stack
from chaos.faults.traffic import clients, deliveries, malformed, refusals

GROUPS: Mapping[str, Sequence[Fault]] = {
    "processes": processes.FAULTS,
    "places": failpoints.FAULTS,
    "instances": instances.FAULTS,
    "kafka": brokers.FAULTS,
    "postgres": databases.FAULTS,
    "deliveries": [*deliveries.FAULTS, *refusals.FAULTS, *malformed.FAULTS],
    "clocks": clocks.FAULTS,
    "clients": clients.FAULTS,
}

BY_KEY = frozenset({"processes", "instances", "kafka", "postgres"})
"""The groups during which authentication is on, so that plans have members of groups and substitutes. In the others, bodies name who acts."""

NAMES = [fault.name for group in GROUPS.values() for fault in group] + [whole_stack.NAME]
