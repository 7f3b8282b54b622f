"""Keys that all processes of an installation share, each derived from its one secret for one purpose."""

from __future__ import annotations

import asyncio
import hmac

from identity.ports import Secrets

SECRET = "installation"  # noqa: S105 - a name
"""The name of the secret. Each purpose derives a key of its own from it, by a label of its own."""


class InstallationKey:
    """The key of one purpose. The secret is read once; a failure to read it is not remembered."""

    def __init__(self, secrets: Secrets, label: bytes) -> None:
        self._secrets = secrets
        self._label = label
        self._reading: asyncio.Task[bytes] | None = None

    async def get(self) -> bytes:
        """Return the key, of 32 bytes. Raises IdentityUnavailable."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
            self._reading.add_done_callback(self._settle)
        # Shielded: a caller that leaves takes the key from no other.
        return await asyncio.shield(self._reading)

    async def _read(self) -> bytes:
        return hmac.digest(await self._secrets.get_or_make(SECRET), self._label, "sha256")

    def _settle(self, reading: asyncio.Task[bytes]) -> None:
        """Keep a key, and no failure."""
        if reading.cancelled() or reading.exception() is not None:
            self._reading = None
