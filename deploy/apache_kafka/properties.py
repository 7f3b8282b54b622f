"""The settings of a single broker, for Java and Docker: KRaft mode, no automatic topics, short delays."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping

from local_stack.ports import LOOPBACK


def new_cluster_id() -> str:
    """Return a new cluster id in Kafka's form."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def properties_of(
    listens: str, advertised: str, controller: int, data: object, settings: Mapping[str, object] | None = None
) -> str:
    """Return a `server.properties`; addresses are `host:port`, `controller` a port of loopback. `settings` come before ours."""
    ours = {
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
        # A broker that was killed registers again when its former session has expired: 9 s by default.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }
    return "".join(f"{name}={value}\n" for name, value in (ours | dict(settings or {})).items())
