"""Sayso on one machine: PostgreSQL and a Kafka broker from wheels, the services as processes. No Docker, no Java."""
