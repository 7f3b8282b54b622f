"""The people of the load: the roles and groups that each key is made with, and the tokens of guests, who have no key."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import jwt

REVIEWER = "ann"
"""Who decides, and whose sockets the clients open."""

REQUESTER = "client"
"""Who starts the runs, and reads them at any time; a reviewer reads what it is or was asked to decide at."""

SUBSTITUTE = "fay"
"""Who is named by no rule, and stands in for those who are absent."""

PEOPLE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    REQUESTER: {"roles": ("requester",)},
    REVIEWER: {"roles": ("reviewer",), "groups": ("legal",)},
    "bob": {"roles": ("reviewer",)},
    "cleo": {"roles": ("reviewer",), "groups": ("leads",)},
    "dora": {"roles": ("reviewer",), "groups": ("legal",)},
    SUBSTITUTE: {"roles": ("reviewer",)},
    "lea": {"roles": ("admin",)},
}
"""Who asks for anything, with the roles and groups for it."""

GUEST = {"roles": ("reviewer",)}
"""What the token of a guest says beside its groups."""

TOKENS = {
    "SAYSO_JWT_SECRET": "the-secret-of-tokens-in-the-fault-suite",
    "SAYSO_JWT_ISSUER": "https://issuer.example",
    "SAYSO_JWT_AUDIENCE": "sayso",
}
"""The services' settings for tokens."""

_TOKEN_SECONDS = 3600


def token_of(guest: str, groups: Sequence[str]) -> str:
    """Return a token of a guest, a member of these groups."""
    claims = {
        "iss": TOKENS["SAYSO_JWT_ISSUER"],
        "aud": TOKENS["SAYSO_JWT_AUDIENCE"],
        "sub": guest,
        "name": guest,
        "tenant": "default",
        "exp": int(time.time()) + _TOKEN_SECONDS,
        "groups": list(groups),
        **GUEST,
    }
    return jwt.encode(claims, TOKENS["SAYSO_JWT_SECRET"], "HS256")
