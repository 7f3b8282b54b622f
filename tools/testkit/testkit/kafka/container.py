"""Apache Kafka in a container by testcontainers, from the image of `make images`."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import docker
import psutil
from docker.errors import DockerException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from apache_kafka.artifacts import Unavailable
from apache_kafka.broker import SHORT_LIFE
from apache_kafka.image import IMAGE
from apache_kafka.properties import new_cluster_id, properties_of
from local_stack.ports import LOOPBACK, free_port

_OWNER = "sayso.tests.process"
_CONTROLLER = 19093
_DATA = "/opt/kafka-data"


@contextlib.contextmanager
def kafka_container() -> Iterator[str]:
    """Run a broker in a container and yield its address. It listens a little later. Raises Unavailable."""
    _prepare()
    # The port is the same inside and outside, so that the broker's advertised address is known before it starts.
    port = free_port()
    properties = properties_of(f"0.0.0.0:{port}", f"{LOOPBACK}:{port}", _CONTROLLER, _DATA)
    container = (
        DockerContainer(IMAGE)
        .with_bind_ports(port, port)
        .with_envs(
            KAFKA_PROPERTIES=properties, KAFKA_CLUSTER_ID=new_cluster_id(), KAFKA_JAVA_OPTIONS=" ".join(SHORT_LIFE)
        )
        .with_kwargs(labels={_OWNER: str(os.getpid())})
    )
    try:
        container.start()
        yield f"{LOOPBACK}:{port}"
    except TimeoutError as error:
        error.add_note("\n".join(log.decode(errors="replace") for log in container.get_logs()))
        raise
    finally:
        container.stop()
        container.get_docker_client().client.close()


def _prepare() -> None:
    """Check Docker and its image, and remove containers of interrupted tests. Raises Unavailable."""
    # The library's own reaper is one more image to pull.
    testcontainers_config.ryuk_disabled = True
    try:
        _refuse_dead_socket()
        client = docker.from_env()
    except (OSError, DockerException):
        raise Unavailable("Docker does not answer") from None
    with contextlib.closing(client):
        if not client.images.list(name=IMAGE):
            raise Unavailable(f"Docker has no image {IMAGE}: make images")
        for container in client.containers.list(all=True, filters={"label": _OWNER}):
            if not psutil.pid_exists(int(container.labels[_OWNER])):
                container.remove(force=True)


def _refuse_dead_socket() -> None:
    """Connect once before Docker's client does: it leaks its socket when Docker does not answer. Raises OSError."""
    scheme, _, path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as trying:
            trying.connect(path)
