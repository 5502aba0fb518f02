"""Settings of the bridge."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, Field

from bridge import (
    BackOff,
    BridgeConfig,
    DeadLetterLimits,
    EngineLimits,
    FetchLimits,
    GroupTimings,
    ReadLimits,
    Signer,
    SigningKey,
)
from orders.failpoints import Failpoints
from orders.settings.codec_keys import parse_codec_keys
from orders.settings.types import (
    CodecKeys,
    Count,
    InstanceId,
    Name,
    OptionalPort,
    Seconds,
    SizeBytes,
    secret_file,
    span,
)


class BridgeSettings(BaseModel):
    """A bridge process."""

    bridge_group_id: Name = Field("order-bridge", description="Kafka consumer group that all bridges share.")
    bridge_begin: Literal["earliest", "latest"] | AwareDatetime = Field(
        "earliest",
        description="Where a new consumer group begins: earliest (all that the topics have), latest, or a time such "
        "as 2026-11-25T00:00:00Z.",
    )
    bridge_client_id: Name = Field("order-bridge", description="What the bridge calls itself towards Kafka.")
    bridge_instance_id: InstanceId | None = Field(
        None,
        description=(
            "This bridge's own name in the group, such as its host's or its pod's: after a kill or a restart it goes "
            "on at once with the partitions that it had. No two bridges may run under one name. Unset, a bridge that "
            "was killed holds its partitions back from its successor for the session time-out."
        ),
    )
    bridge_health_port: OptionalPort = Field(
        0,
        description="Port on which a bridge answers whether it is alive and ready, and "
        "with its metrics (/metrics); 0 for none.",
    )
    bridge_log_settled: bool = Field(
        False,
        description="Whether each settled record has a line in the bridge's log. One that was set aside has its line "
        "in any case; metrics count them all.",
    )
    bridge_poll_records_max: Count = Field(50, description="Most records that one poll takes.")
    bridge_records_held_max: Count = Field(
        2_000, description="Most records that are held unsettled; then nothing more is taken until half are settled."
    )
    bridge_bytes_held_max: SizeBytes = Field(
        64 * 1024 * 1024, description="Most bytes of memory that such records take, with what was read of them."
    )
    bridge_calls_in_flight_max: Count = Field(100, description="Most calls on Temporal at once.")
    bridge_lane_records_max: Count = Field(
        64,
        description="Most records of one order that are held once the room of all is used up; the next are read again.",
    )
    bridge_lane_bytes_max: SizeBytes = Field(
        1024 * 1024,
        description="Most bytes of memory of such records of one order; one record it may be, however large.",
    )
    bridge_deferred_records_max: int = Field(
        2_000_000,
        ge=1,
        le=10**9,
        description="Most records of all orders that wait to be read again, 5 bytes each; then nothing more is taken.",
    )
    bridge_stuck_after_seconds: Seconds = Field(
        30, description="An order whose next event was tried for so long is said to be stuck; all others go on."
    )
    bridge_value_max_bytes: SizeBytes = Field(
        512 * 1024, description="Longest value of a record; a longer one is set aside. Temporal's own limit is 2 MiB."
    )
    bridge_fetch_partition_max_bytes: SizeBytes = Field(
        1024 * 1024, description="Most bytes of one partition that one fetch brings, compressed as they are."
    )
    bridge_fetch_buffered_max_bytes: SizeBytes = Field(
        64 * 1024 * 1024,
        description="Most such bytes of all partitions of a bridge together; each fetches its share of them.",
    )
    bridge_fetch_unfolded_max_bytes: SizeBytes = Field(
        16 * 1024 * 1024,
        description="Most bytes that one compressed batch of records unfolds to; a larger one is set aside unread.",
    )
    bridge_rpc_timeout_seconds: Seconds = Field(
        10, description="How long one call on Temporal may take before it is made again."
    )
    bridge_retry_initial_interval_seconds: Seconds = Field(
        0.1, description="Before the second attempt while a server is away; doubled each time."
    )
    bridge_retry_maximum_interval_seconds: Seconds = Field(
        5, description="Longest pause between two attempts while a server is away."
    )
    bridge_heartbeat_interval_seconds: Seconds = Field(
        3, description="How often a bridge tells Kafka that it lives; at most a third of the session time-out."
    )
    bridge_session_timeout_seconds: Seconds = Field(
        30, description="A bridge that Kafka has not heard of for so long loses its partitions to the others."
    )
    bridge_rebalance_timeout_seconds: Seconds = Field(
        45, description="How long a bridge may take to let go of partitions before Kafka takes them."
    )
    bridge_max_poll_interval_seconds: Seconds = Field(
        300, description="A bridge whose poll loop stands still for so long leaves the group."
    )
    bridge_commit_interval_seconds: Seconds = Field(
        0.5, description="Between two commits of offsets: what a crash may deliver again."
    )
    bridge_commit_timeout_seconds: Seconds = Field(5, description="How long one commit may take.")
    bridge_drain_timeout_seconds: Seconds = Field(
        10, description="How long records in flight may finish before the bridge stops or lets partitions go."
    )
    bridge_dead_letters_in_a_row_max: int = Field(
        500,
        ge=0,
        le=10**9,
        description="Most records set aside without a good one between; then the bridge stops, and sets nothing aside.",
    )
    bridge_dead_letters_share_max: float = Field(
        0.5, ge=0, le=1, description="Largest share of records set aside, likewise; 1 lifts this limit."
    )
    bridge_dead_letters_share_window: Count = Field(1_000, description="The records over which that share is taken.")
    bridge_dead_letters_limit_action: Literal["end", "wait"] = Field(
        "end",
        description="At either limit: end with status 5, or (for supervisors that start again whatever ends) wait, not "
        "ready, until told to stop.",
    )
    bridge_dead_letter_keys: CodecKeys | None = Field(
        None,
        description="id:key,id:key, each of 32 bytes in base64: the first signs dead letters, and replays of them; all "
        "check them. A letter whose signature is right is replayed also where its source is gone. Bridges, the API and "
        "commands need the same.",
    )
    bridge_dead_letter_keys_file: Path | None = secret_file("BRIDGE_DEAD_LETTER_KEYS")
    bridge_look_up_recorded: bool = Field(
        True,
        description="Whether the bridge asks Postgres which events of finished orders are recorded already: read once "
        "more, those then start no workflow. While Postgres is away, or without it, each starts one.",
    )
    bridge_tombstones: Literal["set_aside", "pass_over"] = Field(
        "set_aside",
        description="What becomes of records without a value, as a purge upstream sends; they count for no limit.",
    )
    bridge_probe_interval_seconds: Seconds = Field(
        5, description="How often the bridge asks whether Kafka and Temporal answer."
    )
    bridge_watchdog_timeout_seconds: Seconds = Field(
        60, description="Without progress for so long, although both servers answer, the bridge ends to begin anew."
    )

    @property
    def dead_letter_signing_keys(self) -> tuple[SigningKey, ...]:
        """The keys of dead letters; none where none are set."""
        keys = self.bridge_dead_letter_keys
        parsed = () if keys is None else parse_codec_keys(keys.get_secret_value())
        return tuple(SigningKey(one.key_id, one.key) for one in parsed)

    @property
    def dead_letter_signer(self) -> Signer | None:
        """Signs and checks dead letters; None without keys."""
        keys = self.dead_letter_signing_keys
        return Signer(keys) if keys else None

    def bridge_config(self, *, dead_letter_topic: str, failpoints: Failpoints | None = None) -> BridgeConfig:
        """How the bridge works.

        Args:
            dead_letter_topic: where records are set aside, which is a setting of Kafka's.
            failpoints: what strikes the process in tests; None for nothing.

        Raises:
            ValueError: settings contradict each other; the bridge's own sentences, which name its fields.
        """
        return BridgeConfig(
            group_id=self.bridge_group_id,
            client_id=self.bridge_client_id,
            instance_id=self.bridge_instance_id,
            dead_letter_topic=dead_letter_topic,
            rpc_timeout=span(self.bridge_rpc_timeout_seconds),
            back_off=BackOff(
                initial=span(self.bridge_retry_initial_interval_seconds),
                maximum=span(self.bridge_retry_maximum_interval_seconds),
            ),
            group=GroupTimings(
                session_timeout=span(self.bridge_session_timeout_seconds),
                heartbeat_interval=span(self.bridge_heartbeat_interval_seconds),
                rebalance_timeout=span(self.bridge_rebalance_timeout_seconds),
                max_poll_interval=span(self.bridge_max_poll_interval_seconds),
            ),
            poll_records_max=self.bridge_poll_records_max,
            begin=self.bridge_begin,
            begin_setting="BRIDGE_BEGIN",
            engine=EngineLimits(
                records_held_max=self.bridge_records_held_max,
                bytes_held_max=self.bridge_bytes_held_max,
                calls_in_flight_max=self.bridge_calls_in_flight_max,
                lane_records_max=self.bridge_lane_records_max,
                lane_bytes_max=self.bridge_lane_bytes_max,
                deferred_records_max=self.bridge_deferred_records_max,
                stuck_after=span(self.bridge_stuck_after_seconds),
            ),
            fetch=FetchLimits(
                partition_max_bytes=self.bridge_fetch_partition_max_bytes,
                buffered_max_bytes=self.bridge_fetch_buffered_max_bytes,
                unfolded_max_bytes=self.bridge_fetch_unfolded_max_bytes,
                unfolded_max_setting="BRIDGE_FETCH_UNFOLDED_MAX_BYTES",
            ),
            commit_interval=span(self.bridge_commit_interval_seconds),
            commit_timeout=span(self.bridge_commit_timeout_seconds),
            drain_timeout=span(self.bridge_drain_timeout_seconds),
            tombstones=self.bridge_tombstones,
            logs_settled=self.bridge_log_settled,
            dead_letter_limits=DeadLetterLimits(
                in_a_row_max=self.bridge_dead_letters_in_a_row_max,
                share_max=self.bridge_dead_letters_share_max,
                share_window=self.bridge_dead_letters_share_window,
                in_a_row_setting="BRIDGE_DEAD_LETTERS_IN_A_ROW_MAX",
                share_setting="BRIDGE_DEAD_LETTERS_SHARE_MAX",
                reasons="`orders dlq list`",
            ),
            dead_letter_keys=self.dead_letter_signing_keys,
            probe_interval=span(self.bridge_probe_interval_seconds),
            watchdog_timeout=span(self.bridge_watchdog_timeout_seconds),
            make_topics="make them with `orders migrate`",
            failpoints=failpoints,
        )

    @property
    def read_limits(self) -> ReadLimits:
        """How much of one record is read."""
        return ReadLimits(self.bridge_value_max_bytes, value_max_setting="BRIDGE_VALUE_MAX_BYTES")


_SETTINGS: Final = {
    "initial": "BRIDGE_RETRY_INITIAL_INTERVAL_SECONDS",
    "maximum": "BRIDGE_RETRY_MAXIMUM_INTERVAL_SECONDS",
    "session_timeout": "BRIDGE_SESSION_TIMEOUT_SECONDS",
    "heartbeat_interval": "BRIDGE_HEARTBEAT_INTERVAL_SECONDS",
    "max_poll_interval": "BRIDGE_MAX_POLL_INTERVAL_SECONDS",
    "rebalance_timeout": "BRIDGE_REBALANCE_TIMEOUT_SECONDS",
    "drain_timeout": "BRIDGE_DRAIN_TIMEOUT_SECONDS",
    "commit_timeout": "BRIDGE_COMMIT_TIMEOUT_SECONDS",
    "rpc_timeout": "BRIDGE_RPC_TIMEOUT_SECONDS",
    "watchdog_timeout": "BRIDGE_WATCHDOG_TIMEOUT_SECONDS",
}
"""The setting behind each field of `BridgeConfig` that may contradict another."""
_FIELD: Final = re.compile(rf"\b({'|'.join(_SETTINGS)})\b")


def contradictions(settings: BridgeSettings) -> Iterator[str]:
    """A sentence for each pair of these settings that cannot both be meant: the bridge's own, naming the settings."""
    try:
        settings.bridge_config(dead_letter_topic="")
    except ValueError as error:
        yield from _FIELD.sub(lambda field: _SETTINGS[field[0]], str(error)).splitlines()
