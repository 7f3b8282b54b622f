"""Makes the fixtures of `testkit` known to every suite."""

pytest_plugins = [
    "testkit.postgres.servers",
    "testkit.kafka.servers",
    "testkit.identity_provider.servers",
    "testkit.processes.restartable",
    "testkit.stack.vendors",
    "testkit.stack.services",
]
