"""Logging set-up: structlog and the standard library's loggers, in one form on standard error.

Lines are for a person on a terminal and JSON for a collector. Standard output stays free for what a program reads.
"""

import io
import logging
import sys
import time
from collections.abc import Callable
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from orders.safe_text import safe_lines, safe_text
from orders.telemetry.log_ids import add_order_id, add_trace

_QUIET_LOGGERS: Final = {
    # aiokafka's DEBUG prints SASL passwords and produced payloads (seen in 0.14): never below INFO.
    "aiokafka": logging.INFO,
    # httpx logs each request's whole address at INFO, which may name a customer's payment.
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    # Its DEBUG prints tokens and PKCE's secret (seen in 1.9).
    "authlib": logging.INFO,
    "asyncio": logging.INFO,
    "alembic": logging.INFO,
    "sqlalchemy": logging.WARNING,
}
"""The least that these libraries log, whatever LOG_LEVEL says."""


_REPEATS_OF: Final = "aiokafka"
REPEAT_SECONDS: Final = 600.0
"""How long a line of Kafka's client is not repeated. While a broker is away the client says so 90 times a second
(measured 2026-11-23 on aiokafka 0.14)."""
_AWAY: Final = (
    "Unable connect to",
    "Unable to request metadata from",
    "Unable to update metadata from",
    "Error sending %s to node",
    "Marking the coordinator dead",
    "Group Coordinator Request failed",
    "FindCoordinator Request failed",
    "Heartbeat session expired",
    "Heartbeat send request failed",
    "Heartbeat failed for group %s: coordinator",
    "Failed fetch messages from",
    "Cannot send %r to",
    "Could not send %r",
    "Got error produce response",
    "LeaveGroup request failed",
    "OffsetCommit failed before join",
    "Failed to commit on finallization",
    "No broker metadata found",
)
"""How the lines begin by which Kafka's client says that a broker is away (all of aiokafka 0.14). Processes say it once,
and that it is back: `bridge.dependency.lost`, `worker.kafka.lost`. So these are for LOG_LEVEL=debug alone."""


class _Repeats(logging.Filter):
    """Lets each kind of line of Kafka's client pass once in a while, and those of an outage only where all is logged.

    Args:
        clock: seconds; tests give another.
        outages: whether lines pass that say that a broker is away.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, outages: bool = False) -> None:
        super().__init__()
        self._clock = clock
        self._outages = outages
        self._passed: dict[tuple[str, str], float] = {}
        """When each kind was last let through. Bounded by how many there are in the client's source."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drops what was said not long ago, whatever broker or error it named."""
        if record.name.partition(".")[0] != _REPEATS_OF or record.levelno < logging.WARNING:
            return True
        # The text before its arguments are put in: one for each place in the source.
        kind, now = (record.name, str(record.msg)), self._clock()
        if not self._outages and kind[1].startswith(_AWAY):
            return False
        if now - self._passed.get(kind, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        self._passed[kind] = now
        return True


class _ActivityFailures(logging.Filter):
    """Makes one line of an activity's failure, which the SDK logs with a traceback at each attempt.

    During an outage of minutes that would be all there is to read. Where an unexpected one was raised is in the line
    `activities.defect`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Shortens such a record; drops none."""
        if record.name != "temporalio.activity":
            return True
        from temporalio.exceptions import ApplicationError  # noqa: PLC0415 -- slow to import, and here it is already

        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ApplicationError):
            about: dict[str, object] = getattr(record, "temporal_activity", {})
            for name in [name for name in vars(record) if name.strip("_").startswith("temporal_")]:
                delattr(record, name)
            record.msg, record.args, record.exc_info = "activity.failed", (), None
            fields = {
                "activity": about.get("activity_type"),
                "workflow_id": about.get("workflow_id"),
                "attempt": about.get("attempt"),
                "error_type": error.type,
                "error": error.message,
            }
            vars(record).update(fields)
        return True


def configure_logging(
    *,
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["auto", "console", "json"],
    stream: TextIO | None = None,
) -> None:
    """Sets logging up for this process; called once, by whoever starts it.

    Args:
        level: what is logged at least.
        form: console lines, JSON lines, or by whether the stream is a terminal.
        stream: where to; None is standard error.
    """
    target = stream if stream is not None else sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        add_order_id,
        add_trace,
    ]
    console = form == "console" or (form == "auto" and target.isatty())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(console=console, colors=target.isatty()),
            ],
        )
    )
    handler.addFilter(_Repeats(outages=level == "debug"))
    handler.addFilter(_ActivityFailures())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_number(level))
    for name, least in _QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(max(least, _number(level)))


def _renderers(*, console: bool, colors: bool) -> list[Processor]:
    if console:
        # Plain tracebacks: the rich ones show local variables, which may hold a customer's data.
        to_text = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_traceback, pad_event_to=32)
        return [_without_controls, to_text]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=False)]


def _without_controls(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """Writes what a terminal would obey as escapes, line ends too: one event is one line."""
    return {safe_text(name): safe_text(value) if isinstance(value, str) else value for name, value in fields.items()}


def _traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    written = io.StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    stream.write(safe_lines(written.getvalue()))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
