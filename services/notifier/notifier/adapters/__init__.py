"""The ports over HTTP and Kafka. `service` alone names them."""
