"""What the demonstration says of whom its orders wait for: each trouble once, and once that it is over."""

import json
from typing import Any

import pytest

from orders.local.demo.troubles import Troubles
from orders.settings import Settings

AWAY, OVER = False, True


class Told:
    """A demonstration's troubles, and what a person was told of them."""

    def __init__(self, **settings: Any) -> None:
        self.said: list[tuple[str, bool]] = []
        made = Settings(_env_file=None, payment_gateway_url="http://127.0.0.1:8099", **settings)
        self.troubles = Troubles(made, lambda sentence, is_over: self.said.append((sentence, is_over)))

    def line(self, process: str, event: str, **fields: object) -> None:
        self.troubles.take_line(process, json.dumps({"event": event, "level": "warning", **fields}))

    def failed(self, order_id: str, *, attempt: int = 2, activity: str = "charge_payment", **fields: object) -> None:
        about = {"workflow_id": f"order:{order_id}", "activity": activity, "attempt": attempt}
        failure = {"error_type": "GatewayUnavailable", "error": "500"}
        self.line("worker", "activity.failed", **{**about, **failure, **fields})


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_provider_that_fails_is_named_with_its_address_and_what_it_said(told: Told) -> None:
    told.failed("o-1")
    assert told.said == [("the payment provider (http://127.0.0.1:8099) does not answer: 500", AWAY)]


def test_it_is_told_once_however_many_orders_wait_and_over_when_the_last_goes_on(told: Told) -> None:
    for order_id in ("o-1", "o-2", "o-1"):
        told.failed(order_id)
    (standing,) = told.troubles.standing
    assert standing == "the payment provider (http://127.0.0.1:8099) does not answer: 500 (orders that wait for it: 2)"
    told.troubles.went_on("o-1")
    assert len(told.said) == 1
    told.troubles.went_on("o-2")
    assert told.said[1:] == [("the payment provider answers again", OVER)]
    assert told.troubles.standing == ()


def test_a_call_that_fails_once_is_no_trouble(told: Told) -> None:
    told.failed("o-1", attempt=1)
    told.failed("o-1", error_type="ShipmentRefused", attempt=3)
    assert told.said == []


def test_a_wrong_key_is_told_at_once_and_a_provider_that_was_given_up_does_not_answer_again(told: Told) -> None:
    told.failed("o-1", attempt=1, error_type="GatewayNotAsked", error="the key is refused (401)")
    told.failed("o-2", attempt=1, activity="dispatch_carrier", error_type="ProviderGivenUp", error="for 60 s")
    told.troubles.went_on("o-2")
    assert [sentence for sentence, _ in told.said] == [
        "the payment provider (http://127.0.0.1:8099) cannot be asked: the key is refused (401)",
        "the carrier (the sandbox) was given up: for 60 s",
    ]
    assert told.troubles.standing[1].endswith("(orders that have given it up: 1)")


def test_an_outage_of_kafka_is_one_trouble_whichever_process_and_part_meets_it() -> None:
    told = Told(kafka_bootstrap_servers="kafka:9092")
    for dependency in ("kafka", "kafka_group", "kafka_offsets"):
        told.line("bridge", "bridge.dependency.lost", dependency=dependency, detail="no connection")
    told.line("worker", "worker.kafka.lost", detail="Kafka did not acknowledge in time")
    assert told.said == [("Kafka (kafka:9092) does not answer: no connection", AWAY)]
    for dependency in ("kafka", "kafka_group", "kafka_offsets"):
        told.line("bridge", "bridge.dependency.recovered", dependency=dependency)
    assert len(told.said) == 1, "the worker still waits"
    told.line("worker", "worker.kafka.recovered")
    assert told.said[1:] == [("Kafka answers again", OVER)]


@pytest.mark.parametrize(
    ("event", "fields", "end"),
    [
        ("worker.temporal.lost", {}, "worker.temporal.recovered"),
        ("server.refuses_us", {"server": "postgres"}, "server.lets_us_in"),
        ("bridge.dependency.misconfigured", {"dependency": "temporal"}, "bridge.dependency.recovered"),
    ],
)
def test_each_process_s_trouble_ends_by_its_own_word(told: Told, event: str, fields: dict[str, str], end: str) -> None:
    told.line("worker", event, detail="so it is", **fields)
    told.line("bridge", end, **fields)
    assert len(told.said) == 1
    told.line("worker", end, **fields)
    assert [is_over for _, is_over in told.said] == [AWAY, OVER]


def test_a_process_that_is_started_again_has_met_nothing_yet(told: Told) -> None:
    told.line("bridge", "bridge.dependency.lost", dependency="temporal", detail="away")
    told.line("bridge", "process.started")
    assert told.troubles.standing == ()


@pytest.mark.parametrize("text", ["", "plain words", "[1]", '{"level": "info"}', '{"event": 7}'])
def test_what_is_no_log_line_says_nothing(told: Told, text: str) -> None:
    told.troubles.take_line("bridge", text)
    assert told.said == []
