"""What the API and the console measure of their requests."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REQUEST_SECONDS: Final = Histogram(
    "orders_http_request_duration_seconds",
    "Time until the answer to a request began; one that waits for an outcome takes as long as it was told to.",
    ("method", "route"),
    buckets=_BUCKETS,
)
REQUESTS: Final = Counter(
    "orders_http_requests",
    "Requests that were answered, by route and status; a stream counts when it ends, and status 0 had no answer.",
    ("method", "route", "status"),
)
REQUESTS_IN_PROGRESS: Final = Gauge(
    "orders_http_requests_in_progress", "Requests that are being served, waits and streams included."
)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""All others are counted as `other`: a client may send any word as its method, and each would be a series."""
