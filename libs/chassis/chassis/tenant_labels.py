"""Tenants as labels of metrics: a bounded number of them, since each label is a series that is kept for ever."""

from __future__ import annotations

MOST_TENANTS = 100
OTHER = "other"


class TenantLabels:
    """The labels of one process. The tenants that come first have their own, and all further ones share `other`."""

    def __init__(self, most: int = MOST_TENANTS) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, tenant: str) -> str:
        """Return the label of a tenant, the same for as long as the process lives."""
        if tenant in self._known:
            return tenant
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(tenant)
        return tenant


tenant_label = TenantLabels().of
"""Return the label of a tenant in this process."""
