"""The settings of a broker that is alone: KRaft mode, no topic by accident, quick to answer. In one place for Java and Docker."""

from __future__ import annotations

import base64
import uuid

from local_stack.ports import LOOPBACK


def new_cluster_id() -> str:
    """Return an id for a cluster, in the form that Kafka wants."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def properties_of(listens: str, advertised: str, controller: int, data: object) -> str:
    """Return a `server.properties`; addresses are `host:port`, `controller` a port of loopback."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "listeners": f"PLAINTEXT://{listens},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{advertised}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "num.partitions": 4,
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # Killed and started again, a broker is let in when the controller has given up its former self: 9 s by default.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
