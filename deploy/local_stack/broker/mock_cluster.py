"""librdkafka's mock cluster, through the C interface of `rdkafka_mock.h` in confluent-kafka's library.

The Python binding can start a cluster. It can neither set the delay of a group's first rebalance (3 s) nor create a topic
with a number of partitions.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from confluent_kafka import cimpl

from contracts.topics import Topic

_PRODUCER = 0
_POINTER = ctypes.c_void_p
_SIGNATURES = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_conf_set": (ctypes.c_int, [_POINTER, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]),
    "rd_kafka_new": (_POINTER, [ctypes.c_int, _POINTER, ctypes.c_char_p, ctypes.c_size_t]),
    "rd_kafka_handle_mock_cluster": (_POINTER, [_POINTER]),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, [_POINTER]),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_topic_create": (ctypes.c_int, [_POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
}


class MockClusterFailed(Exception):
    """The library did not start a cluster; the message is the library's."""


def start(topics: Iterable[Topic]) -> str:
    """Start a cluster of one broker that lives as long as this process; return its address. Raises MockClusterFailed."""
    library = ctypes.CDLL(cimpl.__file__)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    error = ctypes.create_string_buffer(512)
    configuration = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(configuration, b"test.mock.num.brokers", b"1", error, len(error))
    client = library.rd_kafka_new(_PRODUCER, configuration, error, len(error))
    if not client:
        raise MockClusterFailed(error.value.decode())
    cluster = library.rd_kafka_handle_mock_cluster(client)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    for topic in topics:
        library.rd_kafka_mock_topic_create(cluster, topic.name.encode(), topic.partitions, 1)
    address: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return address.decode()
