"""Instances that come and go: shares are handed over, and who slept through it wakes to find its share gone."""

from __future__ import annotations

from chaos.faults import Fault
from chaos.load import Load
from chaos.membership import shared_by
from chaos.stage import Stage
from local_stack.wait import until

GONE_SECONDS = 30
"""A watcher whose pings are not answered comes to another notifier well within this time."""


async def come_and_go(stage: Stage, load: Load) -> None:
    """Let two orchestrators share the work, then three, then one again; the first of all is among those who leave."""
    fleet = stage.fleet
    for members, name in ((2, "orchestrator-2"), (3, "orchestrator-3")):
        await fleet.add("orchestrator", name)
        await shared_by(stage.bootstrap, "orchestrator", members)
        await load.more(10)
    first, second = fleet["orchestrator"], fleet["orchestrator-2"]
    await fleet.stop_one(first)
    second.kept = False
    second.process.kill()
    await shared_by(stage.bootstrap, "orchestrator", 1)
    await load.begun_before_end()
    fleet.start_one(first)
    await fleet.ready_one(first)
    for name in ("orchestrator-2", "orchestrator-3"):
        await fleet.dismiss(name)
    await load.begun_before_end()


def zombie(service: str) -> Fault:
    """Let an instance sleep until another has its share, and wake in the midst of work."""

    async def do(stage: Stage, load: Load) -> None:
        fleet = stage.fleet
        sleeper, other = fleet[service], await fleet.add(service, f"{service}-2")
        await shared_by(stage.bootstrap, service, 2)
        await load.more(10)
        sleeper.process.pause()
        await shared_by(stage.bootstrap, service, 1)
        await load.begun_before_end()
        sleeper.process.resume()
        await load.begun_before_end()
        await fleet.ready_one(sleeper)
        await fleet.dismiss(other.name)
        await load.begun_before_end()

    return Fault(f"{service}: a zombie wakes after its share went to another", do)


async def notifiers_take_turns(stage: Stage, load: Load) -> None:
    """Let a notifier sleep while another stands, then let that one die: watchers carry their cursors to and fro."""
    fleet = stage.fleet
    sleeper, other = fleet["notifier"], await fleet.add("notifier", "notifier-2")
    connections = _connections(load)
    sleeper.process.pause()
    await until(lambda: _connections(load) > connections, GONE_SECONDS, "watchers go to the other")
    await load.more(20)
    sleeper.process.resume()
    connections = _connections(load)
    await fleet.dismiss(other.name)
    await until(lambda: _connections(load) > connections, GONE_SECONDS, "watchers come back")
    await load.begun_before_end()


async def second_gateway(stage: Stage, load: Load) -> None:
    """Let a second gateway come, the first leave and return, and the second die."""
    fleet = stage.fleet
    second, first = await fleet.add("gateway", "gateway-2"), fleet["gateway"]
    await load.more(10)
    await fleet.stop_one(first)
    await load.more(10)
    fleet.start_one(first)
    await fleet.ready_one(first)
    await load.more(10)
    second.kept = False
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
