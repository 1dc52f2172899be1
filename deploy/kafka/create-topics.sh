#!/usr/bin/env bash
# Creates the topics that are not there yet. Events are kept for ever; directories keep the latest of each key.
set -euo pipefail

bootstrap=${KAFKA_BOOTSTRAP_SERVERS:?}
partitions=${PARTITIONS:-12}
replication=${REPLICATION_FACTOR:-1}

create() {
  echo "topic $1"
  /opt/kafka/bin/kafka-topics.sh --bootstrap-server "$bootstrap" --create --if-not-exists --topic "$1" \
    --partitions "$partitions" --replication-factor "$replication" "${@:2}"
}

for topic in sales.events service.events metrics.events; do
  create "$topic" --config cleanup.policy=delete --config retention.ms=-1 --config retention.bytes=-1
done
for topic in sales.directory service.directory; do
  # A day after its tombstone an erased name is gone from the disk, too.
  create "$topic" --config cleanup.policy=compact --config max.compaction.lag.ms=86400000
done
