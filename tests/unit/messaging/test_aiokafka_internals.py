"""Names of aiokafka and FastStream that their documents do not promise: when an upgrade moves one, this fails before all else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator, NoGroupCoordinator
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState, TopicPartitionState
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator, MessageBatch
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from faststream._internal.endpoint.subscriber.mixins import TasksMixin
from faststream._internal.endpoint.subscriber.usecase import SubscriberUsecase
from faststream.kafka import KafkaBroker
from faststream.kafka.configs import KafkaBrokerConfig
from faststream.kafka.subscriber.usecase import LogicSubscriber

from messaging.aiokafka_internals import WRITTEN_FOR

MOVED = "moved: mend messaging/aiokafka_internals, which alone uses it, and run the component tests of messaging"


@pytest.mark.parametrize("library", WRITTEN_FOR)
def test_the_installed_versions_are_those_that_it_was_written_for(library: str) -> None:
    """Names can stay and mean something else: another version is looked through before it is allowed here."""
    installed = version(library)
    assert installed.startswith(f"{WRITTEN_FOR[library]}."), (
        f"{library} {installed} is installed, messaging/aiokafka_internals was written for {WRITTEN_FOR[library]}"
    )


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (AIOKafkaProducer.__init__, {"_message_accumulator", "client"}),
        (AIOKafkaClient.__init__, {"_request_timeout_ms", "_sync_task", "_conns"}),
        (MessageAccumulator.__init__, {"_exception", "_closed", "_pending_batches"}),
        (MessageAccumulator._pop_batch, {"retry_count", "set_producer_state", "increment_sequence_number"}),
        (MessageBatch.__init__, {"future", "_retry_count"}),
        (AIOKafkaProducer.__init__, {"_txn_manager", "_sender", "_closed"}),
        (AIOKafkaProducer.stop, {"_closed", "_sender", "sender_task"}),
        (MessageAccumulator.fail_all, {"_batches", "_pending_batches", "failure"}),
        (AIOKafkaConsumer.stop, {"_closed", "_coordinator", "_fetcher", "_client"}),
        (GroupCoordinator.__init__, {"_coordination_task", "_heartbeat_task", "_commit_refresh_task"}),
        (NoGroupCoordinator.__init__, {"_reset_committed_task"}),
        (Fetcher.close, {"_fetch_task", "_pending_tasks", "_closed"}),
        (Sender.__init__, {"_request_timeout_ms"}),
        (AIOKafkaClient._get_conn, {"_conns"}),
        (
            AIOKafkaConnection.__init__,
            {
                *("_requests", "_writer", "_reader", "_read_task", "_closed_fut", "_last_action", "_request_timeout"),
                *("_versions", "_client_id"),
            },
        ),
        (AIOKafkaConnection.close, {"_requests", "_reader", "_read_task", "done", "set_exception"}),
        (AIOKafkaConnection._handle_frame, {"_requests", "popleft"}),
        (AIOKafkaConsumer.start, {"_fetcher", "_client", "_subscription"}),
        (AIOKafkaConsumer.__init__, {"_coordinator"}),
        (GroupCoordinator.__init__, {"_pending_exception", "coordinator_id", "generation", "group_id"}),
        (ClusterMetadata.update_metadata, {"_listeners"}),
        (
            Fetcher.__init__,
            {
                *("_client", "_records", "_in_flight", "_pending_tasks", "_fetch_waiters", "_wait_consume_future"),
                *("_fetch_max_wait_ms", "_fetch_min_bytes", "_fetch_max_bytes", "_max_partition_fetch_bytes"),
                *(
                    "_isolation_level",
                    "_check_crcs",
                    "_prefetch_backoff",
                    "_fetcher_timeout",
                    "_subscriptions",
                    "_closed",
                ),
            },
        ),
        (Fetcher._fetch_requests_routine, {"_get_actions_per_node", "_wait_consume_future"}),
        (TopicPartitionState.__init__, {"_position", "_paused", "highwater", "lso", "timestamp"}),
        (FetchResult.__init__, {"_partition_records"}),
        (PartitionRecords.__init__, {"_records", "_records_iterator", "next_fetch_offset"}),
        (KafkaBroker._connect, {"config", "broker_config", "builder"}),
        (SubscriberUsecase.__init__, {"running", "lock"}),
        (TasksMixin.stop, {"tasks"}),
        (LogicSubscriber.start, {"_run_consume_loop", "add_task"}),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_attributes_are_where_they_were(function: Callable[..., Any], names: set[str]) -> None:
    """They are read and set from outside; a new name would be set beside the old one, without an error."""
    gone = names - set(function.__code__.co_names) - set(function.__code__.co_varnames)
    assert not gone, f"{function.__qualname__} knows no {', '.join(sorted(gone))} any more; {MOVED}"


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (MessageAccumulator._append_batch, ["self", "builder", "tp"]),
        (AIOKafkaConnection.close, ["self", "reason", "exc"]),
        (AIOKafkaConnection._handle_frame, ["self", "resp"]),
        (AIOKafkaConnection._next_correlation_id, ["self"]),
        (Fetcher._get_actions_per_node, ["self", "assignment"]),
        (Fetcher._notify, ["self", "future"]),
        (Fetcher._create_fetch_waiter, ["self"]),
        (FetchResult.getall, ["self", "max_records"]),
        (
            PartitionRecords.__init__,
            [
                *("self", "tp", "records", "aborted_transactions", "fetch_offset", "key_deserializer"),
                *("value_deserializer", "check_crcs", "isolation_level"),
            ],
        ),
        (BatchBuilder._set_producer_state, ["self", "producer_id", "producer_epoch", "base_sequence"]),
        (BatchBuilder._build, ["self"]),
        (TransactionManager.sequence_number, ["self", "tp"]),
        (TransactionManager.increment_sequence_number, ["self", "tp", "increment"]),
        (AIOKafkaClient.send, ["self", "node_id", "request", "group"]),
        (AIOKafkaConsumer.getmany, ["self", "partitions", "timeout_ms", "max_records"]),
        (AIOKafkaConsumer.assign, ["self", "partitions"]),
        (TopicPartitionState.await_reset, ["self", "strategy"]),
        (Assignment.state_value, ["self", "tp"]),
        (LogicSubscriber.consume_one, ["self", "msg"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_functions_take_what_they_took(function: Callable[..., Any], parameters: list[str]) -> None:
    """They are called, or replaced."""
    found = list(inspect.signature(function).parameters)
    assert found == parameters, f"{function.__qualname__} takes {found}; {MOVED}"


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (BatchBuilder, {"append", "size", "record_count"}),
        (TopicPartitionState, {"has_valid_position", "position", "paused"}),
        (Assignment, {"tps", "active"}),
        (TransactionManager, {"has_pid", "producer_id", "producer_epoch"}),
        (SubscriptionState, {"fetch_context", "reassignment_in_progress", "wait_for_assignment"}),
        (CloseReason, {"CONNECTION_BROKEN", "CONNECTION_TIMEOUT", "OUT_OF_SYNC", "SHUTDOWN"}),
        (MemoryRecords, {"has_next", "next_batch"}),
        (
            DefaultRecordBatch,
            {"validate_crc", "is_control_batch", "next_offset", "base_offset", "compression_type", "timestamp_type"},
        ),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_classes_offer_what_they_offered(owner: type, names: set[str]) -> None:
    """Records are read with them past the library's own iteration."""
    gone = {name for name in names if not hasattr(owner, name)}
    assert not gone, f"{owner.__qualname__} has no {', '.join(sorted(gone))} any more; {MOVED}"


def test_consumers_are_still_made_by_a_builder_in_the_brokers_settings() -> None:
    """It is replaced, so that subscribers read with a consumer of ours."""
    assert "builder" in {field.name for field in fields(KafkaBrokerConfig)}, (
        f"KafkaBrokerConfig has no builder; {MOVED}"
    )
