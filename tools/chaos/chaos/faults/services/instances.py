"""Instances that come and go: partitions are handed over, and a suspended instance resumes after it lost its partitions."""

from __future__ import annotations

from chaos.clients.load import Load
from chaos.faults import Fault
from chaos.system.membership import group_settled
from chaos.system.stage import Stage
from local_stack.wait import until

GONE_SECONDS = 30
"""A watcher without answers to its pings reconnects to another notifier well within this time."""


async def come_and_go(stage: Stage, load: Load) -> None:
    """Run two orchestrators, then three, then one; the first is among those that leave."""
    fleet = stage.fleet
    for members, name in ((2, "orchestrator-2"), (3, "orchestrator-3")):
        await fleet.add("orchestrator", name)
        await group_settled(stage.bootstrap, "orchestrator", members)
        await load.more(10)
    first, second = fleet["orchestrator"], fleet["orchestrator-2"]
    await fleet.stop_one(first)
    second.supervised = False
    second.process.kill()
    await group_settled(stage.bootstrap, "orchestrator", 1)
    await load.runs_in_progress_end()
    fleet.start_one(first)
    await fleet.ready_one(first)
    for name in ("orchestrator-2", "orchestrator-3"):
        await fleet.dismiss(name)
    await load.runs_in_progress_end()


def zombie(service: str) -> Fault:
    """Suspend an instance until another has its partitions, and resume it under load."""

    async def inject(stage: Stage, load: Load) -> None:
        fleet = stage.fleet
        suspended, other = fleet[service], await fleet.add(service, f"{service}-2")
        await group_settled(stage.bootstrap, service, 2)
        await load.more(10)
        suspended.process.pause()
        await group_settled(stage.bootstrap, service, 1)
        await load.runs_in_progress_end()
        suspended.process.resume()
        await load.runs_in_progress_end()
        await fleet.ready_one(suspended)
        await fleet.dismiss(other.name)
        await load.runs_in_progress_end()

    return Fault(f"{service}: a zombie wakes after its share went to another", inject)


async def notifiers_take_turns(stage: Stage, load: Load) -> None:
    """Suspend a notifier beside another, then stop the other: watchers take their cursors along."""
    fleet = stage.fleet
    suspended, other = fleet["notifier"], await fleet.add("notifier", "notifier-2")
    connections = _connections(load)
    suspended.process.pause()
    await until(lambda: _connections(load) > connections, GONE_SECONDS, "watchers go to the other")
    await load.more(20)
    suspended.process.resume()
    connections = _connections(load)
    await fleet.dismiss(other.name)
    await until(lambda: _connections(load) > connections, GONE_SECONDS, "watchers come back")
    await load.runs_in_progress_end()


async def second_gateway(stage: Stage, load: Load) -> None:
    """Add a gateway, restart the first, and kill the second."""
    fleet = stage.fleet
    second, first = await fleet.add("gateway", "gateway-2"), fleet["gateway"]
    await load.more(10)
    await fleet.stop_one(first)
    await load.more(10)
    fleet.start_one(first)
    await fleet.ready_one(first)
    await load.more(10)
    second.supervised = False
    second.process.kill()
    await fleet.dismiss(second.name)
    await load.more(10)


def _connections(load: Load) -> int:
    return sum(watcher.connections for watcher in load.watchers)


FAULTS = [
    Fault("orchestrators: one, two, three, one", come_and_go),
    zombie("orchestrator"),
    zombie("provider-worker"),
    Fault("notifiers: one sleeps, wakes, the other leaves", notifiers_take_turns),
    Fault("gateways: a second comes, the first leaves and returns, the second dies", second_gateway),
]
