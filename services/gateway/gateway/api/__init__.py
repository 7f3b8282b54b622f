"""The routes. They translate between HTTP and the rest of the gateway, and know no SQL and no Kafka."""
