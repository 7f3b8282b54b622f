"""Fixtures of every suite live in `testkit`; here they are only made known."""

pytest_plugins = [
    "testkit.postgres.servers",
    "testkit.kafka.servers",
    "testkit.processes.restartable",
    "testkit.stack.vendors",
    "testkit.stack.services",
]
