"""The worker's metrics."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

ORDERS = Counter("sayso_worker_orders", "Orders by what became of them.", ["kind", "provider", "outcome"])
SECONDS = Histogram(
    "sayso_worker_order_seconds",
    "How long an order took, from its begin to its answer.",
    ["kind", "provider"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
RUNNING = Gauge("sayso_worker_orders_running", "Orders that are being carried out.")
DEAD = Counter("sayso_worker_dead_letters", "Records that could not be read.")
WAITED = Histogram(
    "sayso_worker_limit_wait_seconds",
    "How long a call waited for what its provider's limits allow.",
    ["provider"],
    buckets=(0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800),
)
WAITING = Gauge("sayso_worker_orders_waiting", "Calls that wait for what their provider's limits allow.")
CIRCUIT = Gauge(
    "sayso_worker_circuit", "Whether a provider is asked: 0 yes, 1 by one call to find out, 2 no.", ["provider"]
)
COST = Counter("sayso_worker_cost_usd", "What calls cost, where the provider tells, in US dollars.", ["provider"])


@cache
def orders_of(kind: str, provider: str, outcome: str) -> Counter:
    """Return the counter of such orders. Finding one by its labels costs more than counting; so with the two below."""
    return ORDERS.labels(kind, provider, outcome)


@cache
def seconds_of(kind: str, provider: str) -> Histogram:
    """Return the histogram of such orders' durations."""
    return SECONDS.labels(kind, provider)


@cache
def cost_of(provider: str) -> Counter:
    """Return the counter of a provider's cost."""
    return COST.labels(provider)
