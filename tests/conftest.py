"""Makes the fixtures of `testkit` known to every suite, and lets no test trust a server outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest_plugins = [
    "testkit.postgres.servers",
    "testkit.kafka.servers",
    "testkit.identity_provider.servers",
    "testkit.processes.restartable",
    "testkit.stack.vendors",
    "testkit.stack.services",
]


@pytest.fixture(scope="session", autouse=True)
def _no_trusted_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give HTTP clients, also those of services that a test starts, an empty folder of certificates.

    None can reach a real provider then. To read a machine's certificates takes a client 50 ms, which was a quarter of many suites.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("SSL_CERT_FILE", raising=False)
        environment.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("certificates")))
        yield
