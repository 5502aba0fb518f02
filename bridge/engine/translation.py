"""From a record to its call, or to why it is refused, whatever the mapping does."""

from traceback import extract_tb

import structlog

from bridge.calls import Call
from bridge.mapping import Mapping
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage

log = structlog.get_logger("bridge")


def translate(record: Record, mapping: Mapping) -> Call | Refusal:
    """The mapping's call for a record, or why the record is refused. Raises nothing: no bytes end the process (I10).

    A mistake of the mapping is logged, and the record is refused with it: it would be met again at every repeat.
    """
    if record.defect is not None:
        return record.defect
    try:
        return _checked(mapping.translate(record))
    except RefusedError as error:
        return error.refusal
    except Exception as error:  # noqa: BLE001 -- a mapping is another team's code, and may raise anything
        _log_mistake(record, error)
        message = f"the bridge failed to read the record ({type(error).__name__}): a mistake of the bridge; report it"
        return Refusal(Stage.SCHEMA, RefusalCode.DECODER_FAILED, message)


def _checked(translated: object) -> Call:
    if not isinstance(translated, Call):
        raise TypeError("the mapping gave something else than a Call")
    return translated


def _log_mistake(record: Record, mistake: BaseException) -> None:
    """Says where the mapping failed. Without the mistake's own words, which may quote the record (I16)."""
    log.error(
        "bridge.decoder.failed",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        error=type(mistake).__name__,
        trace=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(mistake.__traceback__)],
        action="report it; the record is set aside",
    )
