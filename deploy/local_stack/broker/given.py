"""A Kafka of the user's own, in place of the embedded broker. It is asked for the topics, and never stopped."""

from __future__ import annotations

from local_stack.broker.embedded import BrokerFailed
from messaging.admin import provide_topics
from messaging.errors import BrokerUnavailable, TopicsUnfit


class GivenBroker:
    """The Kafka that KAFKA_BOOTSTRAP_SERVERS names. Its own client survives its outages."""

    given = True
    alive = True
    pid = None

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.line = f"using the Kafka at {bootstrap}: KAFKA_BOOTSTRAP_SERVERS is given"

    def environment(self) -> dict[str, str]:
        """Return the settings of the services that it decides: its address. The log is called after its cluster."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap}

    async def start(self) -> None:
        """Make the missing topics. Raises BrokerFailed with one line when it does not answer, or its topics do not fit."""
        try:
            await provide_topics(self.bootstrap)
        except BrokerUnavailable as error:
            raise BrokerFailed(f"KAFKA_BOOTSTRAP_SERVERS: {error}") from None
        except TopicsUnfit as error:
            raise BrokerFailed(str(error)) from None

    async def stop(self) -> None:
        """Leave it as it is."""

    def kill(self) -> None:
        """Leave it as it is."""
