"""API keys for people on running services: made with the first key, which lies where the gateway wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from local_stack.credential import headers_of, kept_key

ADMIN_KEY = "admin.key"


def first_key(data_dir: Path) -> str | None:
    """Return the administrator's key of services with this data folder; None while authentication is off."""
    return kept_key(data_dir / ADMIN_KEY)


async def make_keys(
    gateway_url: str, admin_key: str | None, people: Mapping[str, Mapping[str, Sequence[str]]]
) -> dict[str, str]:
    """Make a key for each subject, with its roles and groups; return them by subject. While authentication is off, none is made."""
    made: dict[str, str] = {}
    if admin_key is None:
        return made
    async with httpx.AsyncClient(base_url=gateway_url, headers=headers_of(admin_key), trust_env=False) as http:
        for subject, rights in people.items():
            body = {"name": subject, "subject": subject, **rights}
            answer = await http.post("/admin/api-keys", json=body)
            assert answer.status_code == 201, answer.text
            made[subject] = answer.json()["key"]
    return made
