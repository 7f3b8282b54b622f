"""What a credential was resolved to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from contracts.identity import Principal


@dataclass(frozen=True, slots=True)
class Resolved:
    """A principal, and the moment from which its credential is not accepted any more, or None for a key without an end."""

    principal: Principal
    ends_at: datetime | None

    def holds_at(self, now: datetime) -> bool:
        """Say whether the credential had not ended by itself. Whether it was revoked, `Resolver.ended` says."""
        return self.ends_at is None or now < self.ends_at
