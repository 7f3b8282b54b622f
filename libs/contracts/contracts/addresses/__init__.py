"""Addresses as outsiders write them: links and hosts, Kafka's brokers."""
