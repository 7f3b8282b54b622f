"""The whole embedded stack dies at once, its broker's log and all, and is started again on what PostgreSQL kept."""

from __future__ import annotations

from chaos.faults import Fault
from chaos.load import Load
from chaos.stage import Stage, settings_of
from local_stack.broker.embedded import EmbeddedBroker

NAME = "embedded stack: killed at once with its broker, twice"


def killed_at_once(broker: EmbeddedBroker) -> Fault:
    """Kill broker, PostgreSQL and services at the same moment, and start all of them again. Twice."""

    async def do(stage: Stage, load: Load) -> None:
        for _ in range(2):
            stage.fleet.kill()
            broker.kill()
            stage.postgres.kill()
            await stage.postgres.start()
            await broker.start()
            await stage.fleet.start_again(settings_of(broker))
            await load.begun_before_end()

    return Fault(NAME, do)
