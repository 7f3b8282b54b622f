"""What is counted about watchers, for `/metrics`."""

from functools import cache

from prometheus_client import Counter, Gauge

CLIENTS = Gauge("sayso_notifier_clients", "Clients that listen.", ["edge"])
SENT = Counter("sayso_notifier_messages", "Messages written to clients.", ["type"])
DROPPED = Counter("sayso_notifier_clients_dropped", "Clients that were let go of.", ["why"])
SNAPSHOTS = Counter("sayso_notifier_snapshots", "Snapshots by what became of them.", ["outcome"])
DECISIONS = Counter("sayso_notifier_decisions", "Decisions over the socket by what became of them.", ["outcome"])
POSITION = Gauge("sayso_notifier_feed_position", "The next offset of run.events.", ["partition"])
EVENTS = Counter("sayso_notifier_events", "Events read, by kind; repeated ones are not counted.", ["kind"])
MALFORMED = Counter("sayso_notifier_malformed_records", "Records of run.events that could not be read.")


@cache
def events_of(kind: str) -> Counter:
    """Return the counter of such events. Finding one by its label costs more than counting; so with the one below."""
    return EVENTS.labels(kind)


@cache
def sent_of(message: str) -> Counter:
    """Return the counter of such messages."""
    return SENT.labels(message)
