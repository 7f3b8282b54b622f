"""The embedded Kafka broker: librdkafka's mock cluster in a process of its own."""
