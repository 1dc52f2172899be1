"""The metrics that every process shows at `/metrics`: one closed, commented registry for the kit's own."""

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest
from starlette.responses import Response

HTTP_SECONDS: Final = Histogram(
    "tandem_http_request_seconds",
    "Time from the request's head to the answer's end.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
HTTP_CUT_OFF: Final = Counter(
    "tandem_http_cut_off_total",
    "Connections that were closed because a client exceeded a limit of the server.",
    ["reason"],
)
HTTP_REFUSED: Final = Counter(
    "tandem_http_refused_total",
    "Requests refused before they were begun, by route class and problem.",
    ["of", "problem"],
)
HTTP_ABANDONED: Final = Counter(
    "tandem_http_abandoned_total", "Requests whose client left before it had an answer.", ["of"]
)
OUTBOX_ROWS: Final = Gauge("tandem_outbox_rows", "Events that are written and not yet in Kafka.")
OUTBOX_AGE_SECONDS: Final = Gauge("tandem_outbox_oldest_seconds", "Age of the oldest event that is not yet in Kafka.")
OUTBOX_PARKED: Final = Gauge("tandem_outbox_parked_keys", "Keys whose events cannot be sent until someone looks.")
RELAYED: Final = Counter("tandem_relayed_events_total", "Events acknowledged by Kafka.", ["topic"])
RELAY_FAILURES: Final = Counter("tandem_relay_failures_total", "Rounds of the relay that failed.", ["error"])
RELAY_ACTIVE: Final = Gauge("tandem_relay_active", "1 while this relay holds the lease.")
RELAY_TOPIC_MISSING: Final = Gauge(
    "tandem_relay_topic_missing", "1 while a topic does not exist that events wait for.", ["topic"]
)
CONSUMED: Final = Counter(
    "tandem_consumed_records_total", "Records whose effects are committed.", ["consumer", "topic"]
)
DEAD_LETTERS: Final = Counter("tandem_dead_letters_total", "Records set aside.", ["consumer", "reason"])
CONSUMER_LAG: Final = Gauge(
    "tandem_consumer_lag_records",
    "Records in the log after the last committed one.",
    ["consumer", "topic", "partition"],
)
CONSUMER_BATCH_SECONDS: Final = Histogram(
    "tandem_consumer_batch_seconds",
    "Time of one batch's transaction.",
    ["consumer"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
CONSUMER_RESTARTS: Final = Counter(
    "tandem_consumer_restarts_total", "Times a consumer began anew.", ["consumer", "error"]
)
CONSUMER_CIRCUIT_OPEN: Final = Gauge(
    "tandem_consumer_circuit_open",
    "1 while a consumer processes nothing because nearly every record was bad.",
    ["consumer"],
)
SEQUENCE_CONFLICTS: Final = Counter(
    "tandem_consumer_sequence_conflicts_total",
    "Events dropped whose sequence another event of their subject had.",
    ["consumer"],
)
OFFSET_RESETS: Final = Counter(
    "tandem_consumer_offset_resets_total",
    "Partitions read again from their first record because the log did not hold the next one.",
    ["consumer", "topic"],
)

JOB_FAILURES: Final = Gauge(
    "tandem_job_failures_in_a_row", "Runs of a periodic job that failed since its last success.", ["name"]
)
JOB_SECONDS_SINCE_SUCCESS: Final = Gauge(
    "tandem_job_seconds_since_success", "Seconds since a run of a periodic job succeeded, or since it began.", ["name"]
)


def exposition() -> Response:
    """The process's metrics in Prometheus' text form."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
