"""Partitions come and go: drains, commits and drops before they go, reads what is settled when they come."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from bridge.config import BridgeConfig
from bridge.engine.engine import Engine
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.engine.settled_beyond import SettledBeyond, UnreadableMetadataError, decode
from bridge.health import Dependency, Health
from bridge.kafka.beginnings import Beginnings
from bridge.kafka.clients import fetch_committed, share_fetches
from bridge.kafka.committer import CommitResult, Committer
from bridge.kafka.membership import Membership
from bridge.kafka.poller import log
from bridge.kafka.ranges import in_ranges


class Rebalancer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types.
    """The client calls this when partitions go and come, and lets no other member have them before it is done."""

    def __init__(
        self,
        consumer: Any,
        engine: Engine,
        *,
        tracker: OffsetTracker,
        committer: Committer,
        beginnings: Beginnings,
        membership: Membership,
        health: Health,
        config: BridgeConfig,
    ) -> None:
        self._consumer = consumer
        self._engine = engine
        self._tracker = tracker
        self._committer = committer
        self._beginnings = beginnings
        self._membership = membership
        self._health = health
        self._fetch = config.fetch
        self._drain_timeout = config.drain_timeout
        # No heartbeat is sent meanwhile, so it takes no more than a part of the session.
        self._ask_timeout = min(config.commit_timeout, config.group.session_timeout / 2)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Lets go of the partitions. The rebalance is eager: it is always all of them.

        By now the client hands out no more records, and still takes commits. When this returns, it joins again.
        """
        if self._tracker.partitions:
            await self._let_go(revoked)
        await self._membership.partitions_revoked()

    async def _let_go(self, revoked: Any) -> None:
        """Drains within the budget, commits, drops."""
        # Asked first, as the client does not say whether the partitions are still ours: after a silence longer than the
        # session they are others', who have begun on them, and every moment of ours would be one too many.
        result = await self._committer.commit()
        drained = False
        if result is not CommitResult.LOST_OWNERSHIP:
            drained = await self._engine.drain(self._drain_timeout)
            result = await self._committer.commit()
        self._tracker.revoke()
        dropped = self._engine.drop()
        log.info(
            "bridge.partitions.revoked",
            partitions=len(revoked),
            drained=drained,
            commit=result.value,
            records_dropped=dropped,
        )

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Begins a new assignment epoch, with the previous owners' lists of what is settled beyond their commits.

        The client hands out records while it waits for this (aiokafka 0.14, `_on_join_complete`), so the partitions
        are paused meanwhile. Nothing has been fetched by then that a pause would throw away: there is no await before
        it, and without a position, which the client has to ask for, it fetches nothing.
        """
        self._engine.drop()
        # The records that met these troubles are others' now, or come again.
        self._health.forget(Dependency.DEAD_LETTERS, Dependency.OFFSETS, Dependency.REREADS)
        self._consumer.pause(*assigned)
        share_fetches(self._consumer, self._fetch, len(assigned))
        until = asyncio.get_running_loop().time() + self._ask_timeout.total_seconds()
        committed: dict[TopicPartition, OffsetAndMetadata] | None = None
        try:
            committed = await self._read_committed(assigned, until)
        finally:
            inherited = _inherited(committed or {})
            partitions = {Partition(tp.topic, tp.partition) for tp in assigned}
            epoch = self._tracker.assign(partitions, inherited)
            if committed is not None:
                await self._begin([tp for tp in assigned if tp not in committed], until)
            self._consumer.resume(*assigned)
        log.info(
            "bridge.partitions.assigned",
            epoch=epoch,
            partitions=in_ranges(partitions),
            settled_beyond=in_ranges(inherited),
        )
        await self._membership.partitions_assigned()

    async def _read_committed(self, assigned: Any, until: float) -> dict[TopicPartition, OffsetAndMetadata] | None:
        """What the group has committed; None where it cannot be asked, and all from those offsets on is repeated."""
        try:
            async with asyncio.timeout_at(until):
                return await fetch_committed(self._consumer, assigned)
        except Exception as error:  # noqa: BLE001 -- whatever it is, not knowing costs repeats and no record
            log.warning(
                "bridge.offsets.not_inherited",
                error=type(error).__name__,
                action="none: everything from the committed offsets on is handed to Temporal",
            )
            return None

    async def _begin(self, partitions: list[TopicPartition], until: float) -> None:
        """Begins in partitions without a commit. What fails here, a poll meets again: it raises nothing.

        Where it began is committed before anything is read. Were the process killed in between, the next one could
        begin with a later latest; and others would take what was there before for something that is still to be read.
        """
        if not partitions:
            return
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout_at(until):
                await self._beginnings.begin(partitions)
                await self._committer.commit()


def _inherited(committed: Mapping[TopicPartition, OffsetAndMetadata]) -> dict[Partition, SettledBeyond]:
    """The previous owners' lists, as commits tell them."""
    inherited: dict[Partition, SettledBeyond] = {}
    for tp, (offset, metadata) in committed.items():
        try:
            beyond = decode(metadata or "", offset=offset)
        except UnreadableMetadataError as error:
            log.warning(
                "bridge.offsets.metadata_ignored",
                topic=tp.topic,
                partition=tp.partition,
                offset=offset,
                detail=str(error),
                action="none: everything from the committed offset on is handed to Temporal",
            )
            continue
        if beyond is not None:
            inherited[Partition(tp.topic, tp.partition)] = beyond
    return inherited
