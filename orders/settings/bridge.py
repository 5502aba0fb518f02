"""Settings of the bridge."""

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import BaseModel, Field

from orders.settings.contradictions import too_short
from orders.settings.types import Count, Name, OptionalPort, Seconds, SizeBytes


class BridgeSettings(BaseModel):
    """A bridge process."""

    bridge_group_id: Name = Field("order-bridge", description="Kafka consumer group that all bridges share.")
    bridge_client_id: Name = Field("order-bridge", description="What the bridge calls itself towards Kafka.")
    bridge_health_port: OptionalPort = Field(
        0, description="Port on which a bridge answers whether it is alive and ready; 0 for none."
    )
    bridge_poll_records_max: Count = Field(500, description="Most records that one poll takes.")
    bridge_records_held_max: Count = Field(
        2_000, description="Most records that are held unsettled; then nothing more is taken until half are settled."
    )
    bridge_bytes_held_max: SizeBytes = Field(64 * 1024 * 1024, description="Most bytes of such records.")
    bridge_calls_in_flight_max: Count = Field(100, description="Most calls on Temporal at once.")
    bridge_value_max_bytes: SizeBytes = Field(
        512 * 1024, description="Longest value of a record; a longer one is set aside. Temporal's own limit is 2 MiB."
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
    bridge_probe_interval_seconds: Seconds = Field(
        5, description="How often the bridge asks whether Kafka and Temporal answer."
    )
    bridge_watchdog_timeout_seconds: Seconds = Field(
        60, description="Without progress for so long, although both servers answer, the bridge ends to begin anew."
    )


_NOT_LONGER: Final = (
    ("bridge_retry_initial_interval_seconds", "bridge_retry_maximum_interval_seconds"),
    ("bridge_session_timeout_seconds", "bridge_max_poll_interval_seconds"),
)


def contradictions(settings: BridgeSettings) -> Iterator[str]:
    """A sentence for each pair of these settings that cannot both be meant."""
    yield from too_short(settings, _NOT_LONGER)
    if settings.bridge_heartbeat_interval_seconds * 3 > settings.bridge_session_timeout_seconds:
        yield (
            f"BRIDGE_HEARTBEAT_INTERVAL_SECONDS ({settings.bridge_heartbeat_interval_seconds:g}) is above a third of "
            f"BRIDGE_SESSION_TIMEOUT_SECONDS ({settings.bridge_session_timeout_seconds:g})"
        )
    # A commit may be under way when the drain ends: it is waited for, and the last one comes after it.
    letting_go = settings.bridge_drain_timeout_seconds + 2 * settings.bridge_commit_timeout_seconds
    if letting_go >= settings.bridge_rebalance_timeout_seconds:
        yield (
            "BRIDGE_DRAIN_TIMEOUT_SECONDS and twice BRIDGE_COMMIT_TIMEOUT_SECONDS together "
            f"({letting_go:g}) are not below BRIDGE_REBALANCE_TIMEOUT_SECONDS "
            f"({settings.bridge_rebalance_timeout_seconds:g})"
        )
    patience = {
        "BRIDGE_REBALANCE_TIMEOUT_SECONDS": settings.bridge_rebalance_timeout_seconds,
        "twice BRIDGE_RPC_TIMEOUT_SECONDS": 2 * settings.bridge_rpc_timeout_seconds,
    }
    for name, seconds in patience.items():
        if settings.bridge_watchdog_timeout_seconds <= seconds:
            yield (
                f"BRIDGE_WATCHDOG_TIMEOUT_SECONDS ({settings.bridge_watchdog_timeout_seconds:g}) is not above {name} "
                f"({seconds:g})"
            )
