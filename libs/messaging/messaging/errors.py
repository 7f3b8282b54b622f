"""What can go wrong between a service and Kafka.

    MessagingError
    ├── BrokerUnavailable
    ├── RecordTooLarge (a KafkaError too)
    ├── TopicsMissing (a KafkaError too)
    └── TopicsUnfit

`KafkaError` is the client library's own base: connections, timeouts, refusals by the broker.
"""

from aiokafka.errors import KafkaError

__all__ = ["BrokerUnavailable", "KafkaError", "MessagingError", "RecordTooLarge", "TopicsMissing", "TopicsUnfit"]


class MessagingError(Exception):
    """A record could not be handed over."""


class BrokerUnavailable(MessagingError):
    """Kafka did not take the command in time."""


class RecordTooLarge(MessagingError, KafkaError):
    """A record is larger than topics take."""


class TopicsMissing(MessagingError, KafkaError):
    """Kafka has not all topics that are read and written here. They may be made yet."""


class TopicsUnfit(MessagingError):
    """A topic has a setting with which records would be refused or lost."""
