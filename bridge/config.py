"""What a bridge is told: frozen values, which refuse what contradicts itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from bridge.dead_letters.limit import DeadLetterLimits
from bridge.dead_letters.signature import SigningKey
from bridge.failpoints import Failpoints

_DOUBLINGS_MAX = 30
"""Bounds the exponent: a wait has reached any sensible maximum long before."""


Begin = Literal["earliest", "latest"] | datetime
"""Where a new group begins. A time has a time zone."""


class Kafka:
    """Where Kafka is, and how its clients are let in.

    Args:
        bootstrap_servers: ``host:port``, several separated by commas.
        security: Further arguments of every aiokafka client: security_protocol, ssl_context, sasl_mechanism and so on.
    """

    __slots__ = ("bootstrap_servers", "security")

    def __init__(self, bootstrap_servers: str, **security: Any) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.security: Mapping[str, Any] = security


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long to wait between attempts: doubled each time, and cut by a random share so that lanes spread out."""

    initial: timedelta = timedelta(milliseconds=100)
    """The longest wait before the second attempt."""
    maximum: timedelta = timedelta(seconds=5)
    """The longest wait of all: it bounds how long after an outage the work goes on (I12 asks for 30 s)."""

    def delay_before(self, attempt: int, *, random_share: float) -> timedelta:
        """The wait before an attempt.

        Args:
            attempt: 2 for the first repeat.
            random_share: From 0 to 1; the wait lies between half and the whole of the doubled one.
        """
        doubled: timedelta = self.initial * int(2 ** min(attempt - 2, _DOUBLINGS_MAX))
        return min(doubled, self.maximum) * (0.5 + random_share / 2)


@dataclass(frozen=True, slots=True)
class GroupTimings:
    """How the consumer group tells the living from the dead. Explicit, as the client's defaults are not Kafka's."""

    session_timeout: timedelta = timedelta(seconds=30)
    """A member that is silent for longer is dead; its partitions go to others."""
    heartbeat_interval: timedelta = timedelta(seconds=3)
    """How often a member says that it lives; at most a third of the session time-out."""
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
    """The same in bytes of memory, with what was read of the records (`bridge.engine.work.weight_of`): some 4 KB a
    small one. One poll may exceed it, by its own 4 MiB of records, and calls in flight by what their arguments take."""
    calls_in_flight_max: int = 100
    """Calls on Temporal at once, each of another lane."""
    lane_records_max: int = 64
    """The most records of one lane that are held when the room of all is used up: those behind them are deferred, and
    read again once half of these are settled (I18). With calls of 5 ms, 32 records last for 160 ms, several times as
    long as a read takes. As long as there is room, a lane may hold a fourth of `records_held_max`."""
    lane_bytes_max: int = 1024 * 1024
    """The same in bytes; one record it may be, however large."""
    deferred_records_max: int = 2_000_000
    """The most records that are deferred, over all lanes: at some 5 bytes each, 10 MB. At this many nothing more is
    taken, and an alarm says whose they are: reading on would cost the memory of the process in the end."""
    stuck_after: timedelta = timedelta(seconds=30)
    """How long the attempts at one record go on before its lane is said to be stuck."""

    def __post_init__(self) -> None:
        """Refuses bounds that let nothing through.

        Raises:
            ValueError: A bound is below 1.
        """
        for name in (
            "records_held_max",
            "bytes_held_max",
            "calls_in_flight_max",
            "lane_records_max",
            "lane_bytes_max",
            "deferred_records_max",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How much the Kafka client fetches ahead of the polls (I11)."""

    partition_max_bytes: int = 1024 * 1024
    """The most of one partition in one fetch, compressed as it is. A single batch may be larger: it comes whole."""
    buffered_max_bytes: int = 64 * 1024 * 1024
    """The most of all assigned partitions together. With many of them each has its share, of a batch at the least."""
    unfolded_max_bytes: int = 16 * 1024 * 1024
    """The most that one compressed batch may unfold to. One that unfolds to more is set aside as a pointer."""
    unfolded_max_setting: str = "unfolded_max_bytes"
    """What an operator knows `unfolded_max_bytes` as."""

    def __post_init__(self) -> None:
        """Refuses bounds that let nothing through.

        Raises:
            ValueError: A bound is below 1.
        """
        for name in ("partition_max_bytes", "buffered_max_bytes", "unfolded_max_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")

    def partition_bytes(self, partitions: int) -> int:
        """The most of one partition in one fetch where so many are assigned."""
        return min(self.partition_max_bytes, max(1, self.buffered_max_bytes // max(1, partitions)))


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """How a bridge works, whatever its records mean.

    Raises:
        ValueError: Fields contradict each other; a line for each pair names both.
    """

    group_id: str
    """The consumer group. Bridges of one group share the partitions; another group reads everything once more."""
    dead_letter_topic: str
    """Where refused records are set aside; none of the mapping's topics."""
    client_id: str = ""
    """What the bridge calls itself towards Kafka; empty for the group's id."""
    instance_id: str | None = None
    """This one bridge's name in its group, which no other bridge there has; None for none.

    Kafka knows a bridge by it again: one that was killed goes on at once with the partitions that it had, where one
    without a name waits until its predecessor's session has timed out. A bridge with a name does not leave its group
    when it stops, as it may come back; the others have its partitions after the session time-out.
    """
    rpc_timeout: timedelta = timedelta(seconds=10)
    """How long one call on Temporal may take before its outcome counts as unknown."""
    back_off: BackOff = field(default_factory=BackOff)
    """Between two attempts, at a record as at a server."""
    group: GroupTimings = field(default_factory=GroupTimings)
    begin: Begin = "earliest"
    """Where a group that has committed nothing begins: with all that a topic has, with what comes from now on, or with
    what was produced from a time on. By default no record is passed by, which on topics with a history means all of it.
    A partition that is added to a topic later is read from its beginning, or from the time."""
    begin_setting: str = "begin"
    """What an operator knows `begin` as."""
    engine: EngineLimits = field(default_factory=EngineLimits)
    fetch: FetchLimits = field(default_factory=FetchLimits)
    poll_records_max: int = 50
    """Most records that one poll takes from the client's buffer; what is held is looked at between two polls."""
    commit_interval: timedelta = timedelta(milliseconds=500)
    """Between two commits: what a crash may deliver again, and what commits cost."""
    commit_timeout: timedelta = timedelta(seconds=5)
    """How long one commit may take; the client itself would try for ever."""
    drain_timeout: timedelta = timedelta(seconds=10)
    """How long a stop or a rebalance waits for what is in flight."""
    tombstones: Literal["set_aside", "pass_over"] = "set_aside"
    """What becomes of records without a value that the mapping refuses. Neither counts for the limit below."""
    dead_letter_limits: DeadLetterLimits = field(default_factory=DeadLetterLimits)
    dead_letter_keys: tuple[SigningKey, ...] = ()
    """By which dead letters are signed: the first signs. Whoever has them can tell the bridge's letters from others."""
    logs_settled: bool = False
    """Whether each settled record has a line in the log. One that was set aside has its line in any case."""
    probe_interval: timedelta = timedelta(seconds=5)
    """Between two looks at whether Kafka and Temporal answer, also while there is nothing to do."""
    watchdog_timeout: timedelta = timedelta(seconds=60)
    """Without progress for longer, although both servers answer, `Bridge.run` raises `StuckError` (I12)."""
    make_topics: str = "make them"
    """What an operator is told to do about topics that are missing: a command, for instance."""
    failpoints: Failpoints | None = None
    """Strikes the process in tests of crashes; None for never."""

    @property
    def letting_go(self) -> timedelta:
        """How long letting go of partitions may take: what is in flight drains, and three commits take their time.

        One is under way as the rebalance begins, the next finds out whether the partitions are still ours, and the last
        one follows the drain.
        """
        return self.drain_timeout + 3 * self.commit_timeout

    def __post_init__(self) -> None:
        """Refuses fields that contradict each other."""
        contradictions = "\n".join(_contradictions(self))
        if contradictions:
            raise ValueError(contradictions)


def _contradictions(config: BridgeConfig) -> Iterator[str]:
    """A line for each pair of fields that cannot both be meant, naming both."""
    group, back_off = config.group, config.back_off
    if isinstance(config.begin, datetime) and config.begin.tzinfo is None:
        yield "begin is a time without a time zone: add an offset, or Z"
    if back_off.initial > back_off.maximum:
        yield f"initial ({_text(back_off.initial)}) is above maximum ({_text(back_off.maximum)})"
    if group.session_timeout > group.max_poll_interval:
        yield (
            f"session_timeout ({_text(group.session_timeout)}) is above max_poll_interval "
            f"({_text(group.max_poll_interval)})"
        )
    if group.heartbeat_interval * 3 > group.session_timeout:
        yield (
            f"heartbeat_interval ({_text(group.heartbeat_interval)}) is above a third of session_timeout "
            f"({_text(group.session_timeout)})"
        )
    if config.letting_go >= group.rebalance_timeout:
        yield (
            f"drain_timeout and three times commit_timeout together ({_text(config.letting_go)}) are not below "
            f"rebalance_timeout ({_text(group.rebalance_timeout)})"
        )
    for name, span in (("rebalance_timeout", group.rebalance_timeout), ("twice rpc_timeout", 2 * config.rpc_timeout)):
        if config.watchdog_timeout <= span:
            yield f"watchdog_timeout ({_text(config.watchdog_timeout)}) is not above {name} ({_text(span)})"


def _text(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"
