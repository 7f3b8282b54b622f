"""PostgreSQL and Kafka behind the gateway's ports."""
