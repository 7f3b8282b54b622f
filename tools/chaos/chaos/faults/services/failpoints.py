"""Services killed at a failpoint."""

from __future__ import annotations

import signal

from chaos.clients.load import Load
from chaos.faults import Fault
from chaos.system.stage import Stage
from local_stack.wait import until

PLACES = {
    "intake.appending": ("orchestrator", "before the append"),
    "intake.appended": ("orchestrator", "after the append, its transaction committed"),
    "intake.decided": ("orchestrator", "before the hand-over to the producer"),
    "intake.handed-over": ("orchestrator", "after the hand-over to the producer"),
    "intake.acknowledged": ("orchestrator", "after the acknowledgement, before the offsets"),
    "intake.committed": ("orchestrator", "after the offsets are committed"),
    "work.claimed": ("provider-worker", "after the claim, before the call"),
    "work.called": ("provider-worker", "after the call, before its answer is sent"),
}

PASSING = 15
"""The pass at which the failpoint kills: after work has begun."""


def killed_at(place: str) -> Fault:
    """Kill a service at the failpoint `place`."""
    service, where = PLACES[place]

    async def inject(stage: Stage, load: Load) -> None:
        instance = stage.fleet[service]
        await stage.fleet.stop_one(instance)
        before = len(instance.ended)
        stage.fleet.start_one(instance, f"{place}=kill@{PASSING}")
        await until(lambda: len(instance.ended) > before, 60, f"it dies at {place}")
        assert instance.ended[-1] == -signal.SIGKILL
        await stage.fleet.ready_one(instance)
        await load.runs_in_progress_end()

    return Fault(f"{service}: dies {where}", inject)


FAULTS = [*map(killed_at, PLACES)]
