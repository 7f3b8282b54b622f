"""The whole embedded stack killed at once, its broker's log included, and restarted on PostgreSQL's data."""

from __future__ import annotations

from chaos.clients.load import Load
from chaos.faults import Fault
from chaos.system.stage import Stage, settings_of
from local_stack.broker.embedded import EmbeddedBroker

NAME = "embedded stack: killed at once with its broker, twice"


def killed_at_once(broker: EmbeddedBroker) -> Fault:
    """Kill broker, PostgreSQL and services at once, and start all of them again, twice."""

    async def inject(stage: Stage, load: Load) -> None:
        for _ in range(2):
            stage.fleet.kill()
            broker.kill()
            stage.postgres.kill()
            await stage.postgres.start()
            await broker.start()
            await stage.fleet.start_again(settings_of(broker))
            await load.runs_in_progress_end()

    return Fault(NAME, inject)
