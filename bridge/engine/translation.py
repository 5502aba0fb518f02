"""From a record to its call, or to why it is refused, whatever the mapping does, and without keeping the loop."""

import asyncio
import time
from traceback import extract_tb
from typing import Final

import structlog

from bridge.calls import Call
from bridge.mapping import Mapping
from bridge.record import Record
from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage

log = structlog.get_logger("bridge")

TURN_SECONDS: Final = 0.01
"""How long records are taken before others have a turn of the loop: calls that have ended, heartbeats, health."""
SECONDS_A_BYTE: Final = 130e-9
"""What translating a byte of a record takes, reckoned before it is done: 58 KB of 1,000 items took 7.5 ms (measured on
2026-11-26). Without it a turn lasted its time and one record more."""
LARGE_BYTES: Final = 64 * 1024
"""A larger record is translated in a thread: it alone may take longer than a turn should (1,000 items take 8 ms, and
468 KiB of small objects 72 ms; measured on 2026-11-25)."""


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


class Translator:
    """Translates records here, or in a thread.

    One at a time in a thread: several threads would keep the loop waiting for the interpreter, each for its part.

    Args:
        mapping: Says what each record means.
    """

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._thread_is_free = asyncio.Lock()

    def now(self, record: Record) -> Call | Refusal:
        """Translates a record, and lets nobody else do anything meanwhile."""
        return translate(record, self._mapping)

    async def in_thread(self, record: Record) -> Call | Refusal:
        """Translates a record while the loop goes on turning. Cancelling it leaves the thread to end by itself."""
        async with self._thread_is_free:
            return await asyncio.to_thread(translate, record, self._mapping)


class Turns:
    """The turns of the loop of somebody who takes many records in a row.

    Args:
        translator: Translates the large ones.
    """

    def __init__(self, translator: Translator) -> None:
        self._translator = translator
        self._ends_at = time.monotonic() + TURN_SECONDS

    def are_others_due(self, record: Record) -> bool:
        """Whether others have to have their turn before this record, or while it is translated."""
        size = record.size_bytes
        return size > LARGE_BYTES or time.monotonic() + size * SECONDS_A_BYTE > self._ends_at

    async def give(self, record: Record) -> Call | Refusal | None:
        """Gives others their turn. Whoever calls has to look afterwards what has changed.

        Returns:
            The record's translation, if it is large; None for one that is quickly translated afterwards.
        """
        translated = None
        if record.size_bytes > LARGE_BYTES:
            translated = await self._translator.in_thread(record)
        else:
            await asyncio.sleep(0)
        self._ends_at = time.monotonic() + TURN_SECONDS
        return translated


class OneATurn:
    """Lets one after the other go on, no two in the same turn of the loop, so that others have theirs in between."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def wait(self) -> None:
        """Waits for a turn of one's own. Cancelling it disturbs no other."""
        async with self._lock:
            await asyncio.sleep(0)  # Whoever waits for the lock wakes in a later turn than the one that this opens.


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
