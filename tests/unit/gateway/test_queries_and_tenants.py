"""Every query and every record is a tenant's: a new query without one is shown, until its reason stands here."""

from __future__ import annotations

import re

import pytest

from chassis.postgres.named_queries import named_queries
from testkit.messages.golden import sample_events

BOUND = re.compile(r"\btenant = (\$\d|excluded\.tenant|former\.tenant)|\(\s*tenant\b|\btenant,|\btenant\)")
"""A condition, or a column that is written."""

OF_NO_TENANT = {
    "gateway.adapters.postgres": {
        "ledger-is-there": "asks for the schema",
        "load": "the projector folds the runs of all tenants",
        "lock-runs": "a rebuild is of all",
        "clear": "a rebuild is of all",
        "all-commits": "a rebuild is of all",
        "histories": "of runs that a tenant's page has named",
    },
    "artifacts": {},
    "identity.keys": {
        "find": "by its hash, before a tenant is known",
        "ended": "by the ids of credentials that were resolved",
        "has-any": "an installation has a first key once",
    },
    "identity.sessions": {
        "find": "by its hash, before a tenant is known",
        "ended": "by the ids of credentials that were resolved",
        "add": "its principal, in JSON, names the tenant",
        "end": "by its hash",
    },
    "identity.secrets": {"make-secret": "the installation's", "get-secret": "the installation's"},
    "identity.absences": {"lock": "a tenant's lock, which reads nothing"},
    "identity.people": {},
}


@pytest.mark.parametrize("package", OF_NO_TENANT)
def test_every_query_is_bound_to_a_tenant_or_says_why_not(package: str) -> None:
    """By a condition, or by the rows that it writes."""
    unbound = {name for name, query in named_queries(package).items() if BOUND.search(query) is None}
    assert unbound == set(OF_NO_TENANT[package])


def test_every_record_of_an_event_names_its_tenant() -> None:
    """In a header, so that readers need not read what is not theirs."""
    events = sample_events().values()
    assert {(event.tenant, dict(event.headers())["tenant"].decode()) for event in events} == {("acme", "acme")}
