"""What the demonstration makes of scenarios that go wrong: it sees, and says, and does not wait in vain."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.ports import DatabaseUnavailableError
from orders.clients.topic_stream import ReadRecord
from orders.errors import OrdersError
from orders.local.demo import facts, play
from orders.local.demo.facts import observed_facts
from orders.local.demo.scenarios import HELD, Scenario, Step, scenarios
from orders.local.demo.watch import Watch
from schemas.event_types import EventType
from schemas.order import Address
from tests.helpers.system.processes import is_running
from tests.helpers.system.waiting import assert_eventually, patient_timeout

SCENARIOS = {scenario.name: scenario for scenario in scenarios("r1")}
BAD = next(scenario for scenario in SCENARIOS.values() if scenario.dead_letter)
NOT_FOUND = RPCError("no such run", RPCStatusCode.NOT_FOUND, b"")


def watch_with(*states: str) -> Watch:
    """What was published of the order o-1: these states."""
    watch = Watch(["o-1"], [b"bad"], lambda *_: None, lambda _: None)
    for sequence, state in enumerate(states, 1):
        value = json.dumps({"sequence": sequence, "state": state}).encode()
        headers = (("ce_type", b"order.state_changed"),)
        watch._take_event(ReadRecord("order.events", 0, sequence, 1, b"o-1", value, headers))
    return watch


# Playing ------------------------------------------------------------------------------------------------------------


class Stage:
    """Sends nothing, and remembers what was to be sent."""

    def __init__(self, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[EventType] = []
        self.stage: Any = SimpleNamespace(watch=watch, client=None)
        monkeypatch.setattr(play, "_send", self._send)

    async def _send(self, step: Step, _order_id: str, _stage: object) -> None:
        self.sent.append(step.event_type)


async def test_a_step_whose_time_never_comes_is_not_sent_once_the_order_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage(watch_with("RECEIVED", "REJECTED"), monkeypatch)
    async with patient_timeout(5):
        await play._play_one(SCENARIOS["cancelled"], "o-1", stage.stage, within_seconds=60)
    assert stage.sent == [EventType.ORDER_CREATED]


async def test_an_order_that_ends_otherwise_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(watch_with("RECEIVED", "VALIDATED", "CANCELLED"), monkeypatch)
    async with patient_timeout(5):
        await play._play_one(SCENARIOS["approved"], "o-1", stage.stage, within_seconds=60)
    assert stage.sent == [EventType.ORDER_CREATED, EventType.ORDER_APPROVED]


async def test_a_scenario_of_which_nothing_comes_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Scenario("held", "", (Step(EventType.ORDER_CREATED, after=HELD),), ("RECEIVED",))
    stage = Stage(watch_with(), monkeypatch)

    async def is_held(*_: object) -> bool:
        return False

    monkeypatch.setattr(play, "_is_held", is_held)
    async with patient_timeout(5):
        await play._play_one(held, "o-1", stage.stage, within_seconds=0.1)
    assert stage.sent == []


class Console:
    """A script in the console producer's place."""

    def __init__(self, folder: Path, script: str) -> None:
        self.pid = folder / "pid"
        self._program = folder / "producer"
        self._program.write_text(f"#!/bin/sh\necho $$ > {self.pid}\n{script}\n")
        self._program.chmod(0o755)

    def arguments(self, *_: object, **__: object) -> list[str]:
        return [str(self._program)]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [("echo starting; echo no broker; exit 1", "failed: no broker"), ("exit 1", "failed: without a word")],
)
async def test_a_console_producer_that_fails_is_told_by_its_last_line(
    tmp_path: Path, script: str, sentence: str
) -> None:
    stage: Any = SimpleNamespace(console=Console(tmp_path, script))
    with pytest.raises(OrdersError, match=sentence):
        await play._send_by_console(Step(EventType.ORDER_CREATED), {"order_id": "o-1"}, stage)


async def test_a_console_producer_does_not_outlive_the_demonstration(tmp_path: Path) -> None:
    console = Console(tmp_path, "exec sleep 60")
    stage: Any = SimpleNamespace(console=console)
    sending = asyncio.create_task(play._send_by_console(Step(EventType.ORDER_CREATED), {"order_id": "o-1"}, stage))
    await assert_eventually(lambda: console.pid.exists() and console.pid.read_text().strip(), 10)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    pid = int(console.pid.read_text())
    await assert_eventually(lambda: not is_running(pid), 10)


# Judging ------------------------------------------------------------------------------------------------------------


class Temporal:
    """Temporal as it knows one order."""

    def __init__(self, *, shipments: int = 0, result: object = None, error: RPCError | None = None) -> None:
        self._shipments, self._result, self._error = shipments, result, error
        self._workflow_id = ""

    def get_workflow_handle(self, workflow_id: str, **_: object) -> "Temporal":
        self._workflow_id = workflow_id
        return self

    async def list_workflows(self, _: str) -> AsyncIterator[Any]:
        yield SimpleNamespace(status=WorkflowExecutionStatus.RUNNING)

    async def result(self) -> object:
        if self._result is None:
            raise NOT_FOUND
        return self._result

    async def describe(self) -> None:
        if self._error is not None:
            raise self._error
        if int(self._workflow_id.rpartition(":")[2]) > self._shipments:
            raise NOT_FOUND


class Reader:
    """The database, which answers with these rows and this payment, or does not answer."""

    def __init__(self, *payloads: str, payment: object = None, is_away: bool = False) -> None:
        self._payloads, self._payment, self._is_away = payloads, payment, is_away

    async def events(self, _: str) -> list[Any]:
        self._answer()
        return [SimpleNamespace(payload_json=payload) for payload in self._payloads]

    async def payment(self, _: str) -> object:
        self._answer()
        return self._payment

    def _answer(self) -> None:
        if self._is_away:
            raise DatabaseUnavailableError("away")


async def seen(scenario: Scenario, watch: Watch, temporal: Any, reader: Any) -> dict[str, str]:
    return (await observed_facts(scenario, "o-1", watch, temporal, reader)).further


async def test_what_differs_between_kafka_temporal_and_the_database_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_LISTED_WITHIN_SECONDS", 0.1)
    foreign = SimpleNamespace(order_id="o-2")
    shipped = Temporal(shipments=2, result=SimpleNamespace(address=Address(city="Porto", country="PT")))
    moved = Scenario("x", "", (Step(EventType.ORDER_CREATED, {"payment_id": "p"}),), (), None, "there", 1)
    assert await seen(moved, watch_with("RECEIVED", "VALIDATED"), shipped, Reader("{}", payment=foreign)) == {
        "runs": "1 RUNNING",
        "sequence": "gapless",
        "audit": "1 rows against 2 published",
        "payment": "of order o-2",
        "address": "Porto, PT",
        "shipping attempts": "2",
    }


async def test_what_does_not_answer_is_a_fact_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_LISTED_WITHIN_SECONDS", 0.1)
    moved = Scenario("x", "", (), (), None, "there")
    further = await seen(moved, watch_with(), Temporal(), Reader(is_away=True))
    assert (further["audit"], further["payment"], further["address"]) == ("away", "away", "no result")


async def test_a_bad_message_that_was_not_set_aside_is_seen() -> None:
    assert await seen(BAD, watch_with(), Temporal(), Reader()) == {"dead letter": "none"}


async def test_attempts_without_end_are_counted_up_to_a_bound_and_an_outage_is_no_count() -> None:
    endless: Any = Temporal(shipments=99)
    assert await facts._shipping_attempts(endless, "o-1") == str(facts._ATTEMPTS_MAX)
    away: Any = Temporal(error=RPCError("away", RPCStatusCode.UNAVAILABLE, b""))
    assert await facts._shipping_attempts(away, "o-1") == "not known: Temporal does not answer (UNAVAILABLE)"


class SilentTemporal(Temporal):
    """Temporal that refuses to list, or never answers."""

    def __init__(self, error: RPCError | None = None) -> None:
        super().__init__(error=error)

    async def list_workflows(self, _: str) -> AsyncIterator[Any]:
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()
        yield


@pytest.mark.parametrize("error", [RPCError("away", RPCStatusCode.UNAVAILABLE, b""), None])
async def test_a_temporal_that_went_away_is_a_fact_and_no_failure_of_the_demonstration(
    monkeypatch: pytest.MonkeyPatch, error: RPCError | None
) -> None:
    monkeypatch.setattr(facts, "_LISTED_WITHIN_SECONDS", 0.1)
    silent: Any = SilentTemporal(error)
    assert (await facts._runs(silent, "o-1")).startswith("not known: Temporal does not answer")
