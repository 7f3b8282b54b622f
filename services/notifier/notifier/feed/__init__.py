"""From Kafka to the hub."""
