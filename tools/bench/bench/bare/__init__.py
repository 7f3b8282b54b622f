"""The bare hops: the least that the product's path costs on this machine. Four small processes under the same load driver.

They take the product's hops: REST in, a command over Kafka, one transaction a batch, an order to a worker and back (with
the commit of its claim), events to a read model and to a watcher's WebSocket, the outcome back to HTTP. Their records have
the product's contents, which its core and sandbox make once, before the measurement.

They leave out all else: rules, refusals, digests, leases, deadlines, policies, consumer groups and offsets, metrics,
histories beyond the ledger, lists with their indexes. They lose runs when a process ends: a lower bound, not a design.
"""
