"""The order of these tests: what tells of a moved name in a library comes before all that fails by it."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the test of the libraries' internals first, in whatever the session collected."""
    items.sort(key=lambda item: item.path.name != "test_aiokafka_internals.py")
