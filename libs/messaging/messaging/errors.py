"""What can go wrong between a service and Kafka, by one name."""

from aiokafka.errors import KafkaError

__all__ = ["KafkaError"]
