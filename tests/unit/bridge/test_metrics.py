"""What a bridge counts and reports, as a scrape sees it."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge import BridgeMetrics, BridgeStatus
from bridge.engine.attempts import Outcome
from bridge.health import DependencyState, PartitionProgress
from bridge.refusal import RefusalCode

PARTITIONS = 1_000


class Scraped:
    """Metrics of one bridge, and what a scrape of them says."""

    def __init__(self, prefix: str = "bridge") -> None:
        self.registry = CollectorRegistry()
        self.metrics = BridgeMetrics(self.registry, prefix)

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        text = generate_latest(self.registry).decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value

    def value(self, name: str, **labels: str) -> float:
        found = [value for sample, its, value in self.samples() if sample == name and its == labels]
        assert len(found) == 1, (name, labels, found)
        return found[0]

    def has(self, name: str) -> bool:
        return any(sample == name for sample, _, _ in self.samples())


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def status(**fields: Any) -> BridgeStatus:
    return BridgeStatus(**{"live": True, "ready": True, "reasons": (), "partitions": 0, "records_held": 0, **fields})


def test_records_are_counted_by_topic_and_outcome_and_dead_letters_by_code(scraped: Scraped) -> None:
    for _ in range(3):
        scraped.metrics.settled("a", 0, Outcome.DELIVERED, None)
    scraped.metrics.settled("b", 0, Outcome.DEAD_LETTERED, RefusalCode.VALUE_EMPTY)
    assert scraped.value("bridge_records_settled_total", topic="a", outcome="delivered") == 3
    assert scraped.value("bridge_records_settled_total", topic="b", outcome="dead_lettered") == 1
    assert scraped.value("bridge_dead_letters_total", topic="b", code="value_empty") == 1


def test_every_outcome_of_a_topic_is_counted_from_0_on(scraped: Scraped) -> None:
    scraped.metrics.begin(["a"], Outcome)
    for outcome in Outcome:
        assert scraped.value("bridge_records_settled_total", topic="a", outcome=outcome) == 0
    scraped.metrics.settled("a", 0, Outcome.DEAD_LETTERED, RefusalCode.VALUE_EMPTY)
    assert scraped.value("bridge_records_settled_total", topic="a", outcome="dead_lettered") == 1


def test_every_code_of_the_bridge_is_counted_from_0_on_and_one_of_a_mapping_s_own_from_its_first(
    scraped: Scraped,
) -> None:
    scraped.metrics.begin(iter(["a", "b"]), Outcome)
    name = "bridge_dead_letters_total"
    counted = {(its["topic"], its["code"]): value for one, its, value in scraped.samples() if one == name}
    assert counted == dict.fromkeys(product("ab", RefusalCode), 0)
    scraped.metrics.settled("a", 0, Outcome.DEAD_LETTERED, "too_blue")
    assert scraped.value("bridge_dead_letters_total", topic="a", code="too_blue") == 1


def test_with_very_many_topics_a_code_is_counted_from_its_first_dead_letter_on(scraped: Scraped) -> None:
    scraped.metrics.begin([f"t-{number}" for number in range(1_000)], Outcome)
    assert not scraped.has("bridge_dead_letters_total")
    scraped.metrics.settled("t-7", 0, Outcome.DEAD_LETTERED, RefusalCode.VALUE_EMPTY)
    assert scraped.value("bridge_dead_letters_total", topic="t-7", code="value_empty") == 1


def test_the_delay_of_a_record_is_its_age_and_one_without_a_timestamp_has_none(scraped: Scraped) -> None:
    scraped.metrics.settled("a", 0, Outcome.DELIVERED, None)
    scraped.metrics.settled("a", -1, Outcome.DELIVERED, None)
    assert scraped.value("bridge_hand_over_delay_seconds_count", topic="a") == 1
    assert scraped.value("bridge_hand_over_delay_seconds_sum", topic="a") > 1_000_000_000


def test_a_record_from_the_future_has_no_negative_delay(scraped: Scraped) -> None:
    scraped.metrics.settled("a", 10**15, Outcome.DELIVERED, None)
    assert scraped.value("bridge_hand_over_delay_seconds_sum", topic="a") == 0


def test_calls_are_measured_by_operation_and_outcome(scraped: Scraped) -> None:
    scraped.metrics.called("signal_with_start", "delivered", 0.02)
    scraped.metrics.called("signal_with_start", "delivered", 0.5)
    scraped.metrics.called("start", "failed", 10.0)
    labels = {"operation": "signal_with_start", "outcome": "delivered"}
    assert scraped.value("bridge_call_duration_seconds_count", **labels) == 2
    assert scraped.value("bridge_call_duration_seconds_bucket", le="0.025", **labels) == 1
    assert scraped.value("bridge_call_duration_seconds_count", operation="start", outcome="failed") == 1


def test_a_partition_s_records_are_told_apart(scraped: Scraped) -> None:
    progress = PartitionProgress("a", 3, unread=7, held=5, deferred=2, behind_stuck=4, oldest_at=1_000.0)
    scraped.metrics.update(status(progress=(progress,)))
    place = {"topic": "a", "partition": "3"}
    assert scraped.value("bridge_partition_records", state="unread", **place) == 7
    assert scraped.value("bridge_partition_records", state="held", **place) == 5
    assert scraped.value("bridge_partition_records", state="deferred", **place) == 2
    assert scraped.value("bridge_partition_behind_stuck_records", **place) == 4
    assert scraped.value("bridge_partition_oldest_unsettled_age_seconds", **place) > 1_000_000_000


def test_a_partition_of_which_nothing_is_known_yet_claims_nothing(scraped: Scraped) -> None:
    progress = PartitionProgress("a", 0, unread=None, held=0, deferred=0, behind_stuck=0)
    scraped.metrics.update(status(progress=(progress,)))
    states = [its["state"] for name, its, _ in scraped.samples() if name == "bridge_partition_records"]
    assert states == ["held", "deferred"]
    assert not scraped.has("bridge_partition_oldest_unsettled_age_seconds")


def test_dependencies_may_have_names_that_other_processes_share() -> None:
    registry = CollectorRegistry()
    metrics = BridgeMetrics(registry, "shop_bridge", dependency_prefix="shop")
    metrics.update(status(dependencies=(DependencyState("kafka", 5.5),)))
    assert registry.get_sample_value("shop_dependency_up", {"dependency": "kafka"}) == 0
    assert registry.get_sample_value("shop_dependency_lost_timestamp_seconds", {"dependency": "kafka"}) == 5.5
    assert registry.get_sample_value("shop_bridge_dependency_up", {"dependency": "kafka"}) is None
    assert registry.get_sample_value("shop_bridge_ready") == 1


def test_a_dependency_that_is_away_says_since_when(scraped: Scraped) -> None:
    scraped.metrics.update(
        status(dependencies=(DependencyState("kafka", None), DependencyState("temporal", 1_700_000_000.5)))
    )
    assert scraped.value("bridge_dependency_up", dependency="kafka") == 1
    assert scraped.value("bridge_dependency_up", dependency="temporal") == 0
    since = [(its, value) for name, its, value in scraped.samples() if "lost_timestamp" in name]
    assert since == [({"dependency": "temporal"}, 1_700_000_000.5)]


def test_what_belongs_to_the_whole_bridge_is_reported(scraped: Scraped) -> None:
    scraped.metrics.update(
        status(
            partitions=12,
            records_held=9,
            records_deferred=8,
            records_lost=3,
            stuck=("one",),
            bytes_held=4_096,
            in_flight=5,
            paused=True,
            commit_age_seconds=1.5,
        )
    )
    expected = {
        "bridge_ready": 1,
        "bridge_assigned_partitions": 12,
        "bridge_records_held": 9,
        "bridge_records_deferred": 8,
        "bridge_records_lost_total": 3,
        "bridge_stuck_lanes": 1,
        "bridge_held_bytes": 4_096,
        "bridge_calls_in_flight": 5,
        "bridge_paused": 1,
        "bridge_commit_age_seconds": 1.5,
    }
    assert {name: scraped.value(name) for name in expected} == expected


def test_before_the_first_look_a_bridge_is_not_ready_and_has_no_commit(scraped: Scraped) -> None:
    assert scraped.value("bridge_ready") == 0
    assert not scraped.has("bridge_commit_age_seconds")


def test_two_bridges_share_a_registry_under_prefixes_of_their_own() -> None:
    one = Scraped("refills")
    other = BridgeMetrics(one.registry, "others_bridge")
    other.settled("a", -1, Outcome.DELIVERED, None)
    assert one.value("others_bridge_records_settled_total", topic="a", outcome="delivered") == 1
    assert not one.has("refills_records_settled_total")


def test_a_thousand_partitions_are_all_there(scraped: Scraped) -> None:
    progress = tuple(PartitionProgress("a", number, 1, 1, 1, 0, 1_000.0) for number in range(PARTITIONS))
    scraped.metrics.update(status(progress=progress))
    names = [name for name, _, _ in scraped.samples()]
    assert names.count("bridge_partition_records") == 3 * PARTITIONS
    assert names.count("bridge_partition_oldest_unsettled_age_seconds") == PARTITIONS
