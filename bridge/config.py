"""What the bridge is told: one frozen value, made from the settings by whoever starts it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from activities.failpoints import Failpoints
from bridge.dead_letters.limit import DeadLetterLimits
from bridge.reading.event import DecodeLimits
from schemas.event_types import EventType
from schemas.order import OrderPolicy
from workflows.names import ORDER_TASK_QUEUE

DEFAULT_TOPICS: Final[Mapping[str, EventType]] = {event_type.value: event_type for event_type in EventType}
"""Each event type's topic has its name."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait between attempts: doubled each time, and cut by a random share so that lanes spread out."""

    initial: timedelta = timedelta(milliseconds=100)
    maximum: timedelta = timedelta(seconds=5)
    """Bounds how long after an outage the work goes on (I12 asks for 30 s)."""


@dataclass(frozen=True, slots=True)
class GroupTimings:
    """How the consumer group tells the living from the dead. Explicit, as the client's defaults are not Kafka's."""

    session_timeout: timedelta = timedelta(seconds=30)
    """A member that is silent for longer is dead; its partitions go to others."""
    heartbeat_interval: timedelta = timedelta(seconds=3)
    rebalance_timeout: timedelta = timedelta(seconds=45)
    """How long a rebalance waits for a member that drains. The client's default is the session time-out."""
    max_poll_interval: timedelta = timedelta(minutes=5)
    """A member whose poll loop stands still for longer leaves the group."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """How much the bridge holds and does at once (I11)."""

    records_held_max: int = 2_000
    """Records delivered and not settled; at this many the bridge takes no more until half are settled."""
    bytes_held_max: int = 64 * 1024 * 1024
    """The same in bytes of keys, values and headers. One poll may exceed it, by what the client has buffered."""
    calls_in_flight_max: int = 100
    """Calls on Temporal at once, each for another order."""

    def __post_init__(self) -> None:
        """Refuses bounds that let nothing through.

        Raises:
            ValueError: A bound is below 1.
        """
        if min(self.records_held_max, self.bytes_held_max, self.calls_in_flight_max) < 1:
            raise ValueError("records_held_max, bytes_held_max and calls_in_flight_max must be at least 1")


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """Everything the bridge needs to know."""

    bootstrap_servers: str
    """``host:port``, several separated by commas."""
    group_id: str = "order-bridge"
    client_id: str = "order-bridge"
    topics: Mapping[str, EventType] = field(default_factory=lambda: DEFAULT_TOPICS)
    """The event type of each topic."""
    dead_letter_topic: str = "order.dead_letters"
    kafka_security: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of every Kafka client: security_protocol, ssl_context, sasl_mechanism and so on."""
    policy: OrderPolicy = field(default_factory=OrderPolicy)
    """How long and how often, for the workflows that are started."""
    run_timeout: timedelta | None = None
    """Longest run of an order's workflow; None for no limit."""
    task_queue: str = ORDER_TASK_QUEUE
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    rpc_timeout: timedelta = timedelta(seconds=10)
    """How long one call on Temporal may take before its outcome counts as unknown."""
    back_off: BackOff = field(default_factory=BackOff)
    group: GroupTimings = field(default_factory=GroupTimings)
    engine: EngineLimits = field(default_factory=EngineLimits)
    poll_records_max: int = 500
    """Most records that one poll takes from the client's buffer."""
    commit_interval: timedelta = timedelta(milliseconds=500)
    """Between two commits: what a crash may deliver again, and what commits cost."""
    commit_timeout: timedelta = timedelta(seconds=5)
    """How long one commit may take; the client itself would try for ever."""
    drain_timeout: timedelta = timedelta(seconds=10)
    """How long a stop or a rebalance waits for what is in flight: below the rebalance time-out, and 25 s (I13)."""

    dead_letter_limits: DeadLetterLimits = field(default_factory=DeadLetterLimits)
    probe_interval: timedelta = timedelta(seconds=5)
    """Between two looks at whether Kafka and Temporal answer, also while there is nothing to do."""
    watchdog_timeout: timedelta = timedelta(seconds=60)
    """No progress for longer, although both servers answer: the process ends, to begin anew (I12)."""
    failpoints: Failpoints = field(default_factory=Failpoints)
    """For tests of crashes; none by default."""

    def __post_init__(self) -> None:
        """Refuses what contradicts itself.

        Raises:
            ValueError: Names both settings.
        """
        if not self.topics:
            raise ValueError("topics is empty: the bridge has nothing to consume")
        if self.dead_letter_topic in self.topics:
            raise ValueError("dead_letter_topic is one of topics: every dead letter would come back")
        # A commit may be under way when the drain ends: it is waited for, and the last one comes after it.
        if self.drain_timeout + 2 * self.commit_timeout >= self.group.rebalance_timeout:
            raise ValueError("drain_timeout and twice commit_timeout together must be below rebalance_timeout")
        if self.watchdog_timeout <= max(self.group.rebalance_timeout, 2 * self.rpc_timeout):
            raise ValueError("watchdog_timeout must be above rebalance_timeout, and above twice rpc_timeout")
        if self.group.heartbeat_interval * 3 > self.group.session_timeout:
            raise ValueError("heartbeat_interval must be at most a third of session_timeout")
