"""What the bridge does for static membership (``group.instance.id``) that its client does not (aiokafka 0.14).

Kafka knows a member with a ``group.instance.id`` again, whichever process it is: one that was killed and is started
again has its partitions at once, without a rebalance. Two things follow that the client knows nothing of:

- Two bridges of one name take each other's place, for ever: each time the other one finds itself unknown, joins again
  under the name, and so throws the first one out.
- Who comes back is given what it had, as a follower, though it may be the member that led the group. Only a leader
  watches for partitions that are added to the topics; so nobody would, and their records stayed where they are.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import BrokerResponseError, kafka_errors
from aiokafka.protocol.admin import DescribeGroupsRequest

log = structlog.get_logger("bridge")

_UUID_CHARS: Final = 36
"""Kafka names a static member by its instance id, a hyphen and a UUID."""


class FencedInstanceIdError(BrokerResponseError):  # type: ignore[misc]  # aiokafka ships no types.
    """Kafka's refusal of a member whose name another one has taken meanwhile. The client does not know it."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


class FencedError(Exception):
    """Another bridge runs under this one's name in the same group, and has taken its place."""


@dataclass(frozen=True, slots=True)
class _Group:
    """What Kafka says of a group: the partitions of each member, by its member id."""

    members: dict[str, tuple[tuple[str, int], ...]]


class Membership:
    """A bridge's place in its consumer group.

    Args:
        consumer: The bridge's.
        group_id: Its group.
        instance_id: Its name there; None where it has none, and nothing is to be seen to.
        timeout: For one question to Kafka. No heartbeat is sent meanwhile, so it is a part of the session.
    """

    def __init__(self, consumer: Any, group_id: str, instance_id: str | None, timeout: timedelta) -> None:
        self._consumer = consumer
        self._group_id = group_id
        self._instance_id = instance_id
        self._timeout_seconds = timeout.total_seconds()
        self._member_id = ""
        """Our member id in the present assignment."""
        self._fenced = asyncio.Event()

    async def run(self) -> None:
        """Waits until another bridge has taken our place, which may never be.

        Raises:
            FencedError: It has.
        """
        await self._fenced.wait()
        raise fenced(self._group_id, self._instance_id)

    async def partitions_assigned(self) -> None:
        """Sees to it that partitions which are added from now on, or were while we were away, are shared out."""
        if self._instance_id is None:
            return
        coordinator = self._consumer._coordinator  # noqa: SLF001 -- the client has no other place that tells
        self._member_id = coordinator.member_id
        if coordinator._group_subscription is not None:  # noqa: SLF001
            return  # The group's leader, which watches already.
        group = await self._describe()
        shared_out = Counter(topic for held in group.members.values() for topic, _ in held) if group else Counter()
        topics = coordinator._subscription.topics  # noqa: SLF001
        # With these the client compares, at each of its looks at the topics, as a leader does. What differs from what
        # is shared out makes it join again; and Kafka, which still has us as the leader, begins a rebalance then.
        coordinator._group_subscription = set(topics)  # noqa: SLF001
        coordinator._metadata_snapshot = {topic: shared_out[topic] for topic in topics}  # noqa: SLF001

    async def partitions_revoked(self) -> None:
        """Looks whether the partitions go because another bridge has our name.

        Raises:
            asyncio.CancelledError: It has. This ends the client's part in the group: were it to go on, it would join
                again and throw the other one out.
        """
        ours, self._member_id = self._member_id, ""
        if not ours or self._consumer._coordinator.member_id == ours:  # noqa: SLF001
            return  # A rebalance of members that all are who they were.
        group = await self._describe()
        others = [] if group is None else [one for one in group.members if self._has_our_name(one) and one != ours]
        if others:
            self._fenced.set()
            raise asyncio.CancelledError

    def _has_our_name(self, member_id: str) -> bool:
        return member_id[:-_UUID_CHARS] == f"{self._instance_id}-"

    async def _describe(self) -> _Group | None:
        """The group as Kafka has it; None where it does not say, which costs a rebalance or a moment's confusion."""
        coordinator = self._consumer._coordinator  # noqa: SLF001
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await coordinator.ensure_coordinator_known()
                request = DescribeGroupsRequest((self._group_id,))
                response = await self._consumer._client.send(coordinator.coordinator_id, request)  # noqa: SLF001
            (group,) = response.to_object()["groups"]
            members = {member["member_id"]: _partitions(member["member_assignment"]) for member in group["members"]}
        except Exception as error:  # noqa: BLE001 -- whatever it is, it costs no record
            log.warning(
                "bridge.group.not_described",
                error=type(error).__name__,
                action="none: the partitions are shared out once more, in case some were added",
            )
            return None
        return _Group(members)


def know_fenced_instances() -> None:
    """Teaches the client Kafka's error code for a fenced member, which it would otherwise report as unknown."""
    kafka_errors[FencedInstanceIdError.errno] = FencedInstanceIdError


def is_fenced(error: BaseException) -> bool:
    """Whether an error of the client is Kafka's refusal of our name.

    By its text, as the client raises a refused join as a plain `KafkaError` with the error's representation.
    """
    return isinstance(error, FencedInstanceIdError) or FencedInstanceIdError.__name__ in str(error)


def fenced(group_id: str, instance_id: str | None) -> FencedError:
    """The error for a person, without the names of settings: those are the application's."""
    return FencedError(
        f"another bridge of the group {group_id} runs under the same instance id, {instance_id}, and has taken this "
        "one's place: give each bridge an instance id of its own, or run only one of the two"
    )


def _partitions(assignment: bytes) -> tuple[tuple[str, int], ...]:
    if not assignment:
        return ()
    decoded = ConsumerProtocol.ASSIGNMENT.decode(assignment)
    return tuple((partition.topic, partition.partition) for partition in decoded.partitions())
