"""Kafka for the services: consuming, producing, request and reply, dead letters. The only package that names FastStream or aiokafka.

`records` is plain data and imports neither, so that ports can speak of records.
"""
