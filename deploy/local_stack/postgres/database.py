"""The stack's database: on the embedded server, or the user's own, which is asked whether it answers and never stopped."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from chassis.postgres.connections import Connector, NoAnswer
from local_stack.postgres.server import Postgres, PostgresFailed

_NAME, _FORMER_NAME = "sayso", "countersign"
_ANSWER_SECONDS = 10.0


class EmbeddedDatabase:
    """A database on a server of its own in the data folder."""

    given = False

    def __init__(self, folder: Path) -> None:
        self._server = Postgres(folder)
        self.line = f"starting PostgreSQL; data in {folder}"

    @property
    def alive(self) -> bool:
        """True while the server runs."""
        return self._server.alive

    def environment(self) -> dict[str, str]:
        """Return the settings of the services that it decides."""
        return {"DATABASE_URL": self._server.url(_NAME)}

    async def start(self) -> None:
        """Start the server; make the database where it is missing. Raises PostgresFailed."""
        await self._server.start()
        await self._server.rename_database(_FORMER_NAME, _NAME)
        await self._server.create_database(_NAME)

    async def stop(self) -> None:
        """Stop the server; what is committed is on disk."""
        await self._server.stop()

    def kill(self) -> None:
        """End it at once; it recovers at its next start."""
        self._server.kill()


class GivenDatabase:
    """The database that DATABASE_URL names. The services' own pools survive its outages."""

    given = True
    alive = True
    line = "using the database that DATABASE_URL names"

    def __init__(self, url: str) -> None:
        self._url = url

    def environment(self) -> dict[str, str]:
        """Return the settings of the services that it decides."""
        return {"DATABASE_URL": self._url}

    async def start(self) -> None:
        """Ask whether it answers. Raises PostgresFailed with one line, which has no password, when it does not."""
        try:
            connection = await Connector(self._url, "sayso-local-stack", _ANSWER_SECONDS).connect(_ANSWER_SECONDS)
        except NoAnswer:
            raise PostgresFailed(f"DATABASE_URL: no PostgreSQL answers within {_ANSWER_SECONDS:g} s") from None
        except OSError as error:
            raise PostgresFailed(f"DATABASE_URL: no PostgreSQL answers: {error.strerror or error}") from None
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise PostgresFailed(f"DATABASE_URL: {error}") from None
        await connection.close()

    async def stop(self) -> None:
        """Leave it as it is."""

    def kill(self) -> None:
        """Leave it as it is."""
