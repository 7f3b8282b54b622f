"""The notifier's metrics, for `/metrics`."""

from functools import cache

from prometheus_client import Counter, Gauge

CLIENTS = Gauge("sayso_notifier_clients", "Clients that are connected.", ["edge"])
SENT = Counter("sayso_notifier_messages", "Messages written to clients.", ["type"])
DROPPED = Counter("sayso_notifier_clients_dropped", "Clients that were disconnected, by reason.", ["why"])
SNAPSHOTS = Counter("sayso_notifier_snapshots", "Snapshots, by outcome.", ["outcome"])
DECISIONS = Counter("sayso_notifier_decisions", "Decisions over the socket, by outcome.", ["outcome", "tenant"])
REFUSED = Counter("sayso_notifier_refused_credentials", "Sockets that were not opened, by the reason.", ["reason"])
POSITION = Gauge("sayso_notifier_feed_position", "The next offset of run.events.", ["partition"])
EVENTS = Counter("sayso_notifier_events", "Events read, by kind; repeated ones are not counted.", ["kind"])
MALFORMED = Counter("sayso_notifier_malformed_records", "Records of run.events that could not be read.")


@cache
def events_of(kind: str) -> Counter:
    """Return the counter of a kind of event. Cached, as below: the look-up of a label costs more than the count."""
    return EVENTS.labels(kind)


@cache
def sent_of(message: str) -> Counter:
    """Return the counter of a type of message."""
    return SENT.labels(message)
