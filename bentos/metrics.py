"""What Prometheus reads beside BentoML's own figures.

Imported by the served process only: the client must see BentoML's multi-process folder first.
"""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = Histogram(
    "shelfwise_request_seconds",
    "Time from a request's arrival to its answer, by endpoint.",
    ["endpoint"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
ANSWERS = Counter(
    "shelfwise_answers_total", "Answers by endpoint and status.", ["endpoint", "status"]
)
DEGRADED = Counter("shelfwise_degraded_total", "Answers that lacked a part, by part.", ["part"])
EMPTY = Counter("shelfwise_null_results_total", "Searches that found nothing.")
EVENTS = Counter("shelfwise_events_total", "Events by what became of them.", ["outcome"])
RELEASE = Gauge(
    "shelfwise_release_info",
    "1 for the release in service.",
    ["model_version"],
    multiprocess_mode="mostrecent",
)
FAILED_SWAPS = Gauge(
    "shelfwise_failed_swaps", "Releases that could not be loaded.", multiprocess_mode="max"
)
DROPPED = Gauge(
    "shelfwise_journal_dropped", "Served answers that are not in the log.", multiprocess_mode="sum"
)


_seen: set[str] = set()


def release(model_version: str) -> None:
    """Mark one release as the one in service and the others seen as no longer so."""
    _seen.add(model_version)
    for version in _seen:
        RELEASE.labels(version).set(1 if version == model_version else 0)
