"""All records of a topic, read as an outside consumer reads them."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition


async def records_of(
    bootstrap: str, topic: str, consumer_type: type[AIOKafkaConsumer] = AIOKafkaConsumer
) -> list[ConsumerRecord]:
    """Return all records of a topic, partition by partition; aiokafka's own consumer stops at a record that it cannot read."""
    consumer = consumer_type(
        topic, bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=25
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends = await consumer.end_offsets(partitions)
        found: list[ConsumerRecord] = []
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                batch = await consumer.getmany(partition, timeout_ms=500)
                found += [record for records in batch.values() for record in records]
        return found
    finally:
        await consumer.stop()
