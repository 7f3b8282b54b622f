"""The people of specifications: one of each role, and a service with an owner."""

from __future__ import annotations

from typing import Any

from contracts.identity import Principal, Role


def principal(subject: str, *roles: Role, **members: Any) -> Principal:
    """Return a principal of the default tenant, by a key of its own."""
    return Principal(
        **{"tenant": "default", "subject": subject, "roles": roles, "credential": f"key:{subject}", **members}
    )


RITA = principal("rita", Role.REQUESTER)
ROBERT = principal("robert", Role.REQUESTER)
ANN = principal("ann", Role.REVIEWER)
BO = principal("bo", Role.REVIEWER, groups=("legal",))
CY = principal("cy", Role.REVIEWER, groups=("leads",))
DI = principal("di", Role.REVIEWER, Role.REQUESTER)
ADAM = principal("adam", Role.ADMIN)
AUDREY = principal("audrey", Role.AUDITOR)
GUEST = principal("guest")
RITAS_BOT = principal("bot", Role.REQUESTER, kind="service", owner="rita")

ANNS_BOT = principal("anns-bot", Role.REVIEWER, kind="service", owner="ann")

EVERYONE = (RITA, ROBERT, ANN, ADAM, AUDREY, GUEST, RITAS_BOT)
