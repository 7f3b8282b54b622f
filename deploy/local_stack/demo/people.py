"""The people of the story: with a key each where the stack asks for one, made by the administrator's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx

from local_stack.credential import headers_of, kept_key
from local_stack.demo.terminal import NotAsToldError, chapter, expect, say

KEY_LIFE = timedelta(minutes=10)
ROLES = ("requester", "reviewer")


class Person(NamedTuple):
    """Who starts runs and decides. Without a key, while authentication is off, each request says who it is."""

    name: str
    key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What says to the services who it is."""
        return headers_of(self.key)

    @property
    def signature(self) -> dict[str, str]:
        """The members of a decision that say who decides: with a key, the key alone says it."""
        return {"actor": self.name} if self.key is None else {}


class People(NamedTuple):
    """Ann, who reviews, and Bob, who comes too late."""

    ann: Person
    bob: Person


async def people_of(gateway: httpx.AsyncClient, key_file: Path) -> People:
    """Return the people, with keys for a few minutes if the gateway asks for some. Raises NotAsToldError."""
    if (await gateway.get("/me")).status_code != httpx.codes.UNAUTHORIZED:
        return People(Person("ann"), Person("bob"))
    key = kept_key(key_file)
    if key is None:
        raise NotAsToldError(f"the stack asks for a key, and {key_file} is not there")
    chapter("The administrator makes a key for Ann and one for Bob: POST /admin/api-keys")
    return People(*[await _with_key(gateway, key, name) for name in ("ann", "bob")])


async def _with_key(gateway: httpx.AsyncClient, key: str, name: str) -> Person:
    ends = datetime.now(UTC) + KEY_LIFE
    body = {"name": "the demo's", "subject": name, "roles": ROLES, "expires_at": ends.isoformat()}
    answer = await gateway.post("/admin/api-keys", json=body, headers=headers_of(key))
    expect(answer.status_code == httpx.codes.CREATED, f"no key is made for {name}: {answer.json().get('detail')}")
    made = answer.json()
    say(f"201: {name}, {' and '.join(made['roles'])}, {made['prefix']}…, until {made['expires_at'][11:19]}")
    return Person(name, made["key"])
