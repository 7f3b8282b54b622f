"""The query of the socket's address."""

from __future__ import annotations

from uuid import uuid4

from notifier.protocol.subscription import read_subscription


def test_a_run_is_watched_however_its_id_is_written() -> None:
    """Events hold it in one form."""
    run_id = str(uuid4())
    for written in (run_id, run_id.upper(), run_id.replace("-", ""), f"{{{run_id}}}"):
        assert read_subscription({"run_id": written}).filters().run_id == run_id
