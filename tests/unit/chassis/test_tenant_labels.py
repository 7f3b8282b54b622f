"""Tenants as labels: as many as are bounded, and then one for all the others."""

from __future__ import annotations

from chassis.tenant_labels import MOST_TENANTS, OTHER, TenantLabels


def test_the_tenants_that_come_first_have_their_own_label() -> None:
    """For ever: a series does not change its name. Those beyond the bound share one, however many they are."""
    labels = TenantLabels()
    first = [f"tenant-{number}" for number in range(MOST_TENANTS)]
    assert [labels.of(tenant) for tenant in first] == first
    assert {labels.of(f"late-{number}") for number in range(10_000)} == {OTHER}
    assert [labels.of(tenant) for tenant in first] == first
