"""The AsyncAPI document describes the records that are on Kafka."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs

from contracts.topics import RUN_TOPICS
from testkit.kafka.topic_records import records_of
from testkit.stack.services import Stack
from testkit.stack.user import User

TWO = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}


async def test_every_record_on_every_topic_is_valid_under_the_document(ann: User, stack: Stack) -> None:
    """A run goes through, another is cancelled in mid-call; what each topic then holds of them is read as an outsider would, and checked."""
    async with ann.watch() as socket:
        long = {"stream": True, "fault": "slow", "delay_seconds": 60}
        cancelled = (await ann.start(parameters=long))["run_id"]
        await socket.until("HITL_PARTIAL_OUTPUT", run_id=cancelled)
        await ann.post(cancelled, "cancel")
        for _ in ("run-cancelled.v1", "call-stopped.v1"):
            await socket.until("HITL_STATUS_UPDATE", run_id=cancelled, state="cancelled")
    run_id = (await ann.start(hitl=TWO))["run_id"]
    await ann.decide(await ann.until(run_id, "payload_review"), "edit", edits={"prompt": "another"})
    await ann.decide(await ann.until(run_id, "response_review"), "approve")
    await ann.until(run_id, "completed")
    document = (await ann.http.get("/asyncapi.json")).json()
    for topic in RUN_TOPICS:
        found = [
            record
            for record in await records_of(stack.kafka.bootstrap, topic.name)
            if record.key in (run_id.encode(), cancelled.encode(), b"sandbox")
        ]
        assert found, topic.name
        for record in found:
            value = json.loads(record.value)
            schema = _schema(document, topic.name, value.get("kind", "capabilities"))
            jsonschema_rs.Draft202012Validator(schema).validate(value)


def _schema(document: dict[str, Any], topic: str, kind: str) -> dict[str, Any]:
    assert kind in document["channels"][topic]["messages"], (topic, kind)
    payload = document["components"]["messages"][kind]["payload"]
    return {**payload, "components": document["components"]}


async def test_events_on_kafka_are_the_bytes_of_the_history(ann: User, stack: Stack) -> None:
    """Members and headers as the API document fixes them, in order, and the same as over REST."""
    run_id = (await ann.start(hitl={"policy": "auto"}, session_id="s-10", user_id="u-10"))["run_id"]
    await ann.until(run_id, "completed")
    records = [r for r in await records_of(stack.kafka.bootstrap, "run.events") if r.key == run_id.encode()]
    seen: dict[int, Any] = {}
    for record in records:
        value = json.loads(record.value)
        headers = {name: text.decode() for name, text in record.headers}
        assert (headers["kind"], headers["tenant"]) == (value["kind"], "default")
        assert (headers["user_id"], headers["session_id"]) == ("u-10", "s-10")
        assert headers["content-type"] == "application/json"
        seen.setdefault(value["version"], value)
    assert list(seen) == sorted(seen)
    assert list(seen.values()) == await ann.history(run_id)
