"""The stories that tests of the read model tell, and whose runs they are."""

from __future__ import annotations

from testkit.runs.commands import approve, at_error_review, at_payload_review, executed, retry

TENANT = "default"
WAITING = at_payload_review()
FINISHED = WAITING.given(approve(), executed(), approve())
RETRIED = at_error_review().given(retry())
