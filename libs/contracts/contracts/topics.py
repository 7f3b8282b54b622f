"""Every topic with its key, partitions and retention. Topic names stand here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

HOUR = 3_600_000
DAY = 24 * HOUR

MAX_RECORD_BYTES = 4 * 1024 * 1024
"""The largest record a topic takes; large values travel as artifacts."""

MAX_EVENT_BYTES = 1024 * 1024
"""The largest event. A run's view holds parts of a few of them and must still fit a record."""

MAX_OUTCOME_BYTES = MAX_RECORD_BYTES - 4096
"""The largest outcome: its key, headers and frame stand beside it in the record."""


@dataclass(frozen=True)
class Topic:
    """A topic as it is created. `retention_ms` None keeps the latest record of each key (compaction).

    `partitions` is for its creation alone: a topic may have more by now, so readers and writers ask Kafka.
    """

    name: str
    partitions: int
    retention_ms: int | None
    holds: str

    @property
    def dead(self) -> str:
        """The name of its topic of dead letters."""
        return f"{self.name}.dead"


PARTITIONS = 4
"""Partitions of a new topic; the embedded broker gives as many to a topic that is first named."""

COMMANDS = Topic("run.commands", PARTITIONS, 7 * DAY, "everything that can be asked of a run, keyed by run")
EVENTS = Topic("run.events", PARTITIONS, 30 * DAY, "what happened: one record an event, keyed by run")
WORK = Topic("provider.work", PARTITIONS, 7 * DAY, "prepare and execute orders, keyed by run")
OUTCOMES = Topic("run.outcomes", PARTITIONS, HOUR, "accepted or refused, by command, in the partition the asker named")
CATALOG = Topic("provider.catalog", PARTITIONS, None, "what the providers offer, keyed by provider")

ALL_PROVIDERS = "providers"
"""The header of an announcement that names all providers that its worker announces at once, with commas between."""

PARTIALS = Topic(
    "run.partials", PARTITIONS, HOUR, "what running calls have said so far, keyed by run; pieces may be lost"
)
STOPS = Topic("provider.stops", PARTITIONS, HOUR, "calls that are to be ended, keyed by run; every worker reads all")

SLOT_MAPS = Topic("topic.slots", 1, None, "which partition each slot of a topic lies in, keyed by topic")

RUN_TOPICS = (COMMANDS, EVENTS, WORK, OUTCOMES, CATALOG, PARTIALS, STOPS)


def all_topics() -> tuple[Topic, ...]:
    """Return every topic to create, those for dead letters included."""
    dead = tuple(Topic(topic.dead, 1, 30 * DAY, f"malformed records of {topic.name}") for topic in RUN_TOPICS)
    return (SLOT_MAPS, *RUN_TOPICS, *dead)
