"""What the engine says of records: lines of the log, and counts."""

import structlog

from bridge.calls import Call
from bridge.engine.attempts import Settled
from bridge.engine.offsets import Inherited
from bridge.engine.work import Work
from bridge.metrics import BridgeMetrics


class Reporter:
    """Says what became of records.

    Args:
        metrics: Counts what is settled; None where nobody looks.
        logs_settled: Whether each settled record has a line of its own. At thousands a second these lines are the most
            of what a bridge costs.
    """

    def __init__(self, metrics: BridgeMetrics | None = None, *, logs_settled: bool = False) -> None:
        self._metrics = metrics
        self._logs_settled = logs_settled
        self._log = structlog.get_logger("bridge").bind()  # Bound once: it is asked for every record.

    def settled(self, work: Work, settled: Settled) -> None:
        """A record is settled. One that was set aside has its line in any case: somebody has to look at it."""
        record, translated = work.record, work.translated
        if self._metrics is not None:
            self._metrics.settled(record.topic, record.timestamp_ms, settled.outcome, settled.error_code)
        if self._logs_settled or settled.error_code is not None:
            self._log.info(
                "bridge.record.settled",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                workflow_id=translated.workflow_id if isinstance(translated, Call) else None,
                outcome=settled.outcome,
                error_code=settled.error_code,
                attempts=work.attempts,
            )

    def inherited(self, inherited: Inherited) -> None:
        """A partition's previous owner's list of settled records was used up, or is not believed."""
        topic, partition = inherited.partition
        if inherited.is_trusted:
            self._log.info(
                "bridge.offsets.passed_over", topic=topic, partition=partition, records=inherited.records_passed_over
            )
        else:
            self._log.warning(
                "bridge.offsets.distrusted",
                topic=topic,
                partition=partition,
                detail="the committed offset holds another record than when it was committed: was the topic made anew?",
                action="none: everything from the committed offset on is handed to Temporal",
            )
