"""Partitions come and go: drains, commits and drops before they go, reads what is settled when they come."""

import asyncio
from typing import Any

from aiokafka import ConsumerRebalanceListener

from bridge.config import BridgeConfig
from bridge.engine.engine import Engine
from bridge.engine.offsets import OffsetTracker, Partition
from bridge.engine.settled_beyond import SettledBeyond, UnreadableMetadataError, decode
from bridge.health import Dependency, Health
from bridge.kafka.clients import fetch_committed, share_fetches
from bridge.kafka.committer import CommitResult, Committer
from bridge.kafka.poller import log


class Rebalancer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types.
    """The client calls this when partitions go and come, and lets no other member have them before it is done."""

    def __init__(
        self,
        consumer: Any,
        engine: Engine,
        *,
        tracker: OffsetTracker,
        committer: Committer,
        health: Health,
        config: BridgeConfig,
    ) -> None:
        self._consumer = consumer
        self._engine = engine
        self._tracker = tracker
        self._committer = committer
        self._health = health
        self._fetch = config.fetch
        self._drain_timeout = config.drain_timeout
        # No heartbeat is sent meanwhile, so it takes no more than a part of the session.
        self._inherit_timeout = min(config.commit_timeout, config.group.session_timeout / 2)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Drains within the budget, commits, lets go. The rebalance is eager: it is always all partitions.

        By now the client hands out no more records, and still takes commits.
        """
        if not self._tracker.partitions:
            return
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
        inherited: dict[Partition, SettledBeyond] = {}
        try:
            inherited = await self._read_inherited(assigned)
        finally:
            partitions = {Partition(tp.topic, tp.partition) for tp in assigned}
            epoch = self._tracker.assign(partitions, inherited)
            self._consumer.resume(*assigned)
        log.info(
            "bridge.partitions.assigned",
            epoch=epoch,
            partitions=sorted(f"{partition.topic}:{partition.partition}" for partition in partitions),
            settled_beyond=sorted(f"{partition.topic}:{partition.partition}" for partition in inherited),
        )

    async def _read_inherited(self, assigned: Any) -> dict[Partition, SettledBeyond]:
        """The previous owners' lists, as commits tell them. Raises nothing: without a list all is repeated."""
        inherited: dict[Partition, SettledBeyond] = {}
        try:
            async with asyncio.timeout(self._inherit_timeout.total_seconds()):
                committed = await fetch_committed(self._consumer, assigned)
        except Exception as error:  # noqa: BLE001 -- whatever it is, not knowing costs repeats and no record
            log.warning(
                "bridge.offsets.not_inherited",
                error=type(error).__name__,
                action="none: everything from the committed offsets on is handed to Temporal",
            )
            return inherited
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
