"""What is sent of each planned dead letter: loaded, and held against what a bridge set aside."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from aiokafka import TopicPartition

from bridge.dead_letters.letter import Letter, Origin
from bridge.dead_letters.replay_headers import replay_headers
from bridge.record import Record
from orders.clients.topic_scan import TopicScan
from orders.operations.dead_letters.finding import get_letters
from orders.operations.dead_letters.proof import claimed_place, doubt_of
from orders.operations.dead_letters.replay_plan import Planned, Refused, ReplayRecord
from orders.operations.dead_letters.source import gone
from orders.settings import Settings


@dataclass(frozen=True, slots=True)
class Loading:
    """How planned dead letters are loaded.

    Args:
        settings: name the topics, and hold the keys by which letters are signed.
        letters: a reader of the dead-letter topic.
        sources: a reader of the inbound topics.
        trust: whether what cannot be proved is believed.
    """

    settings: Settings
    letters: TopicScan
    sources: TopicScan
    trust: bool

    async def load(self, part: Sequence[Planned]) -> tuple[list[ReplayRecord], list[Refused]]:
        """The records to send, in the plan's order, and what is not sent."""
        letters = await get_letters(self.letters, self.settings.kafka_topic_dead_letters, [one.place for one in part])
        there = set(self.sources.partitions)
        sources = await self._records(one.origin for one in part)
        claimed = {one.place: claimed_place(letters[one.place], sources.get(one.origin)) for one in part}
        firsts = await self._records(place for place in claimed.values() if place is not None)
        records: list[ReplayRecord] = []
        refused: list[Refused] = []
        for one in part:
            letter, source, first = letters[one.place], sources.get(one.origin), claimed[one.place]
            if TopicPartition(one.origin.topic, one.origin.partition) not in there:
                where = f"{one.origin.topic}:{one.origin.partition}"
                refused.append(Refused(letter.at, f"its partition {where} is not there any more"))
            elif letter.is_pointer and (why := gone(one.origin, source)) is not None:
                refused.append(Refused(letter.at, why))
            elif (doubted := self._doubted(letter, source, None if first is None else firsts.get(first))) is not None:
                refused.append(doubted)
            else:
                records.append(self._record(one, letter, source))
        return records, refused

    async def _records(self, places: Iterable[Origin]) -> dict[Origin, Record]:
        """What is at these places now, whatever it is."""
        wanted: dict[TopicPartition, list[int]] = {}
        asked = list(places)
        for place in asked:
            wanted.setdefault(TopicPartition(place.topic, place.partition), []).append(place.offset)
        found = await self.sources.fetch(wanted)
        at = {place: found[TopicPartition(place.topic, place.partition)].get(place.offset) for place in asked}
        return {place: record for place, record in at.items() if record is not None}

    def _doubted(self, letter: Letter, source: Record | None, first: Record | None) -> Refused | None:
        doubt = doubt_of(letter, source, first, self.settings.dead_letter_signer)
        if doubt is None or (self.trust and not doubt.is_final):
            return None
        todo = (
            "find out who writes to the dead-letter topic"
            if doubt.is_final
            else f"look at it with `orders dlq show {letter.at}`, then replay it with --trust"
        )
        return Refused(letter.at, f"{doubt.why}: {todo}", is_doubted=True, wants_trust=not doubt.is_final)

    def _record(self, planned: Planned, letter: Letter, source: Record | None) -> ReplayRecord:
        whole = source if letter.is_pointer and source is not None else letter.record
        headers = whole.headers if whole is source else letter.source_headers
        origin, signer = planned.origin, self.settings.dead_letter_signer
        return ReplayRecord(
            topic=origin.topic,
            partition=origin.partition,
            timestamp_ms=origin.timestamp_ms if origin.timestamp_ms >= 0 else None,
            key=whole.key,
            value=whole.value,
            headers=replay_headers(
                replace(whole, headers=headers), planned.first_identity, planned.replay_count + 1, signer
            ),
        )
