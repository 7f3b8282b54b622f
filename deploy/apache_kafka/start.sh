#!/bin/sh
# Starts one broker in a container with the settings in KAFKA_PROPERTIES and Java's options in KAFKA_JAVA_OPTIONS.
# Its data lasts as long as the container.
set -euf
printf '%s\n' "$KAFKA_PROPERTIES" > /tmp/server.properties
kafka="java $KAFKA_JAVA_OPTIONS -cp /opt/kafka/*"
$kafka kafka.tools.StorageTool format --ignore-formatted --cluster-id="$KAFKA_CLUSTER_ID" --config=/tmp/server.properties
exec $kafka kafka.Kafka /tmp/server.properties
