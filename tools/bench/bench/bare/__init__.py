"""The bare hops: what the product's path costs at the least on this machine. Four small processes and a driver's reviewers.

They do the same hops as the product: REST in, a command over Kafka, one transaction of the ledger a batch, work to a worker and
back (with the commit of its claims), events to a read model and to a watcher's WebSocket, the outcome back to HTTP. Their
records have the product's contents, which its own core and sandbox make once, before anything is measured.

They leave out everything else: rules, refusals, digests, leases, deadlines, policies, consumer groups and offsets, metrics,
histories beyond the ledger, lists and their indexes. They lose runs when one of them ends. It is a lower bound, and no design.
"""
