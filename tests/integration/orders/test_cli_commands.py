"""Each command against real servers, as a user runs it: what it prints, and the status it ends with."""

import json
import secrets
import signal
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orders.cli import migrate as migrate_command
from orders.processes.exit_status import ExitStatus
from stack.endpoints import Endpoints
from tests.helpers.steps import recorded_steps
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.processes import run_to_end
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import assert_eventually
from workflows.search_attributes import SEARCH_ATTRIBUTES

CLOSED_PORT = "127.0.0.1:1"
NO_POSTGRES = {"DB_HOST": "127.0.0.1", "DB_PORT": "1"}
FORGETFUL_TEMPORAL = {"TEMPORAL_NAMESPACE": "default"}
"""A namespace that has none of this test's runs, as its own has none of those that its retention has ended."""


@pytest.fixture(scope="module")
async def system(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrderSystem]:
    """A running system; each test has orders of its own."""
    async with order_system(endpoints, tmp_path_factory.mktemp("cli"), ORDER_APPROVAL_TIMEOUT_SECONDS="600") as running:
        yield running


@pytest.fixture
def order_id() -> str:
    return f"cli-{secrets.token_hex(6)}"


async def run(
    system: OrderSystem, *arguments: str, stdin: bytes = b"", **settings: str
) -> subprocess.CompletedProcess[str]:
    return await run_to_end(arguments, {**system.settings, **settings}, system.folder, stdin=stdin)


async def run_json(system: OrderSystem, *arguments: str, stdin: bytes = b"") -> Any:
    ended = await run(system, *arguments, "--json", stdin=stdin)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return json.loads(ended.stdout)


async def test_an_order_goes_by_kafka_from_produce_to_events(system: OrderSystem, order_id: str) -> None:
    sent = await run_json(system, "produce", "created", order_id, "--payment-id", f"p-{order_id}", "--city", "Lisbon")
    assert sent["key"] == order_id
    reached = await run_json(system, "wait", order_id, "--state", "validated", "--timeout", "30")
    assert reached == {"order_id": order_id, "state": "VALIDATED"}

    async def waiting() -> bool:
        status = await run_json(system, "status", order_id)
        seen = (status["run"], status["step"], status["state"])
        assert seen == ("RUNNING", "AWAITING_MANUAL_APPROVAL", "VALIDATED")
        return True

    await assert_eventually(waiting, 30)
    await run_json(system, "produce", "address-updated", order_id, "--city", "Porto", "--encoding", "structured")
    await run_json(system, "produce", "approved", order_id, "--encoding", "binary", "--no-key")
    assert (await run_json(system, "wait", order_id))["state"] == "COMPLETED"
    status = await run_json(system, "status", order_id)
    assert (status["run"], status["state"], status["address"]["city"]) == ("COMPLETED", "COMPLETED", "Porto")
    ended = await run(system, "events", order_id, "--json")
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [event["sequence"] for event in events] == list(range(1, 10))
    assert events[-1]["state"] == "COMPLETED"
    shown = await run(system, "events", order_id)
    assert len(shown.stdout.splitlines()) == 9
    assert "\x1b" not in shown.stdout, "no colours where there is no terminal"


async def test_an_order_goes_straight_to_temporal_and_a_late_event_is_told_so(
    system: OrderSystem, order_id: str
) -> None:
    early = await run_json(system, "approve", order_id, "--approved-by", "ada")
    assert (early["delivery"], early["outcome"], early["reason"]) == ("delivered", "held", None)
    assert early["waits_for"].startswith("order.created")
    held = await run_json(system, "status", order_id)
    assert (held["step"], held["state"], held["held_events"]) == ("AWAITING_ORDER", None, 1)
    assert held["waits_until"] == early["waits_until"].replace("+00:00", "Z")
    started = await run_json(system, "start", order_id, "--payment-id", f"p-{order_id}", "--item", "mug:2:1250")
    assert (started["outcome"], started["sequence"]) == ("applied", 1)
    assert (await run_json(system, "wait", order_id, "--timeout", "30"))["state"] == "COMPLETED"
    late = await run(system, "cancel", order_id, "--event-id", "late-1", "--json")
    assert late.returncode == ExitStatus.REFUSED
    told = json.loads(late.stdout)
    assert (told["delivery"], told["outcome"], told["reason"], told["sequence"]) == (
        "late",
        "rejected",
        "order_closed",
        9,
    )
    await _shows_all_of_a_finished_order(system, order_id)
    moved = await run(system, "update-address", order_id, "--city", "Porto")
    assert moved.returncode == ExitStatus.REFUSED
    assert f"{order_id}: order.address_updated refused as order_closed: the order is over." in moved.stdout
    assert moved.stderr == ""


async def _shows_all_of_a_finished_order(system: OrderSystem, order_id: str) -> None:
    """Its status is complete by what Temporal and Postgres know together, and by Postgres alone."""

    async def published() -> int:
        events = await run(system, "events", order_id, "--json")
        return len(events.stdout.splitlines())

    async def the_late_event_is_answered() -> bool:
        return await published() == 9

    await assert_eventually(the_late_event_is_answered, 30)
    for namespace in (system.settings["TEMPORAL_NAMESPACE"], FORGETFUL_TEMPORAL["TEMPORAL_NAMESPACE"]):
        ended = await run(system, "status", order_id, "--json", TEMPORAL_NAMESPACE=namespace)
        status = json.loads(ended.stdout)
        shown = {name: status[name] for name in ("approved", "payment_id", "amount", "currency", "last_sequence")}
        assert shown == {
            "approved": True,
            "payment_id": f"p-{order_id}",
            "amount": 2500,
            "currency": "USD",
            "last_sequence": await published(),
        }


async def test_a_decision_says_what_became_of_it_by_its_words_and_its_status(
    system: OrderSystem, order_id: str
) -> None:
    started = await run(system, "start", order_id, "--payment-id", f"p-{order_id}")
    assert (started.returncode, started.stderr) == (ExitStatus.OK, "")
    assert f"{order_id}: order.created applied." in started.stdout
    second = await run(system, "start", order_id, "--payment-id", "p-other")
    assert second.returncode == ExitStatus.REFUSED
    assert "refused as duplicate_order: the order is known" in second.stdout
    changed = await run(system, "approve", order_id, "--expected-sequence", "2", "--json")
    assert (changed.returncode, json.loads(changed.stdout)["reason"]) == (ExitStatus.REFUSED, "order_changed")
    sequence = (await run_json(system, "status", order_id))["last_sequence"]
    seen = ("--expected-sequence", str(sequence), "--event-id", "a-1")
    first = await run_json(system, "approve", order_id, "--approved-by", "ada", *seen)
    again = await run_json(system, "approve", order_id, "--approved-by", "ada", *seen)
    assert (first["outcome"], first["sequence"]) == ("applied", sequence + 1)
    known = ("outcome", "sequence", "decided_at", "event_id")
    assert [again[name] for name in known] == [first[name] for name in known], "the same again is told the same"
    other = await run(system, "approve", order_id, "--approved-by", "bob", *seen)
    assert other.returncode == ExitStatus.FAILURE
    assert "another message had the event id a-1 before" in other.stderr
    row = json.loads((await run(system, "explain", order_id, "--json")).stdout)["database"]["order"]
    assert row["decided_by"] == "ada"
    shown = await run(system, "events", order_id)
    assert "← order.approved by ada" in shown.stdout


async def test_a_message_that_is_not_waited_for_ends_the_command_once_temporal_has_it(
    system: OrderSystem, order_id: str
) -> None:
    sent = await run_json(system, "approve", order_id, "--no-wait", "--event-id", "e-1")
    nothing = dict.fromkeys(("outcome", "reason", "sequence", "decided_at", "waits_for", "waits_until"))
    assert sent == {"order_id": order_id, "event_id": "e-1", "delivery": "delivered", **nothing}
    said = await run(system, "approve", order_id, "--no-wait")
    assert "delivered to the order's workflow, which decides it" in said.stdout


async def test_waiting_ends_with_failure_where_the_order_ended_otherwise(system: OrderSystem, order_id: str) -> None:
    await run_json(system, "start", order_id, "--payment-id", f"p-{order_id}")
    await run_json(system, "cancel", order_id)
    ended = await run(system, "wait", order_id, "--state", "COMPLETED", "--timeout", "30")
    assert ended.returncode == ExitStatus.FAILURE
    assert f"order {order_id} is over as CANCELLED, and never was COMPLETED" in ended.stderr
    assert (await run_json(system, "wait", order_id, "--state", "VALIDATED"))["state"] == "VALIDATED"


async def test_an_unknown_order_is_said_to_be_unknown(system: OrderSystem, order_id: str) -> None:
    status = await run(system, "status", order_id)
    assert (status.returncode, status.stdout) == (ExitStatus.FAILURE, "")
    assert f"order '{order_id}' is unknown" in status.stderr
    events = await run(system, "events", order_id)
    assert events.returncode == ExitStatus.FAILURE
    waited = await run(system, "wait", order_id, "--timeout", "0.5")
    assert waited.returncode == ExitStatus.TIMED_OUT
    for ended in (status, events, waited):
        assert len(ended.stderr.splitlines()) == 1, ended.stderr


async def test_without_postgres_an_order_is_shown_that_temporal_knows_and_no_other_is_said_to_be_unknown(
    system: OrderSystem, order_id: str
) -> None:
    await run_json(system, "start", order_id, "--payment-id", f"p-{order_id}")
    await run_json(system, "cancel", order_id)
    await run_json(system, "wait", order_id, "--state", "CANCELLED", "--timeout", "30")
    status = partial(run_to_end, ["status", order_id, "--json"], folder=system.folder)
    known = await status({**system.settings, **NO_POSTGRES})
    told = json.loads(known.stdout)
    assert (known.returncode, told["state"]) == (0, "CANCELLED")
    assert (told["approved"], told["amount"]) == (None, None), "what is not known is not said to be so or so"
    assert "the approval and later events are left out: Postgres does not answer" in known.stderr
    kept = await status({**system.settings, **FORGETFUL_TEMPORAL})
    assert (kept.returncode, json.loads(kept.stdout)["state"]) == (0, "CANCELLED")
    out_of_sight = await status({**system.settings, **FORGETFUL_TEMPORAL, **NO_POSTGRES})
    assert (out_of_sight.returncode, out_of_sight.stdout) == (ExitStatus.UNREACHABLE, ""), out_of_sight.stderr
    assert "Postgres does not answer at 127.0.0.1:1" in out_of_sight.stderr


async def test_bytes_are_sent_as_they_are(system: OrderSystem, order_id: str) -> None:
    value = f'{{"order_id": "{order_id}", oops'.encode()
    sent = await run_json(system, "produce", "created", "--file", "-", stdin=value + b"\n")
    assert sent["key"] is None, "no order_id can be read in it"

    async def dead_letter() -> bool:
        return any(record.value == value for record in await system.dead_letters())

    await assert_eventually(dead_letter, 30, lambda: f"a dead letter\n{system.log_tails}")


async def test_a_message_of_another_makes_its_order_id_the_key(
    system: OrderSystem, order_id: str, tmp_path: Path
) -> None:
    path = tmp_path / "message.json"
    path.write_text(json.dumps({"order_id": order_id, "payment_id": f"p-{order_id}"}))
    assert (await run_json(system, "produce", "created", "--file", str(path)))["key"] == order_id
    assert (await run_json(system, "wait", order_id, "--state", "VALIDATED"))["state"] == "VALIDATED"


async def test_following_shows_what_comes_until_it_is_interrupted(system: OrderSystem, order_id: str) -> None:
    following = system.start("follow", "events", "--follow", "--json", order_id)
    await run_json(system, "start", order_id, "--payment-id", f"p-{order_id}")
    await following.wait_until_logged('"state": "VALIDATED"')
    assert following.exit_status is None
    following.send(signal.SIGINT)
    assert await following.wait_until_ended(10) == ExitStatus.INTERRUPTED
    assert "Traceback" not in following.log


@pytest.mark.parametrize(
    ("command", "settings", "server"),
    [
        (["status", "o-1"], {"TEMPORAL_HOST": CLOSED_PORT}, "Temporal does not answer at 127.0.0.1:1"),
        (["approve", "o-1"], {"TEMPORAL_HOST": CLOSED_PORT}, "Temporal does not answer at 127.0.0.1:1"),
        (["produce", "approved", "o-1"], {"KAFKA_BOOTSTRAP_SERVERS": CLOSED_PORT}, "Kafka does not answer"),
        (["events"], {"KAFKA_BOOTSTRAP_SERVERS": CLOSED_PORT}, "Kafka does not answer at 127.0.0.1:1"),
        (["wait", "o-1"], {"DB_PORT": "1"}, "Postgres does not answer at 127.0.0.1:1"),
        (["migrate"], {"DB_PORT": "1"}, "Postgres does not answer at 127.0.0.1:1"),
        (["migrate"], {"KAFKA_BOOTSTRAP_SERVERS": CLOSED_PORT}, "Kafka does not answer at 127.0.0.1:1"),
    ],
)
async def test_a_server_that_is_down_is_named_soon_and_with_a_status_of_its_own(
    command: list[str], settings: dict[str, str], server: str, system: OrderSystem
) -> None:
    everything = {**system.settings, **settings} | ({"DB_HOST": "127.0.0.1"} if "DB_PORT" in settings else {})
    ended = await run_to_end(command, everything, system.folder, within_seconds=40)
    assert ended.returncode == ExitStatus.UNREACHABLE, ended.stderr
    assert server in ended.stderr
    assert "orders up" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


@pytest.mark.parametrize(
    ("command", "settings", "sentence"),
    [
        (["status", "o-1"], {"TEMPORAL_NAMESPACE": "nowhere"}, "Temporal has no namespace 'nowhere'"),
        (["migrate"], {"DB_NAME": "nowhere"}, "has no database 'nowhere'"),
        (["migrate"], {"DB_ROLE_WORKER": "nobody"}, "Postgres has not all of the roles nobody: make those"),
        (["worker"], {"TEMPORAL_NAMESPACE": "nowhere"}, "Temporal has no namespace 'nowhere'"),
    ],
)
async def test_a_setting_that_a_server_does_not_take_is_named(
    command: list[str], settings: dict[str, str], sentence: str, system: OrderSystem
) -> None:
    ended = await run_to_end(command, {**system.settings, **settings}, system.folder)
    assert ended.returncode == ExitStatus.USAGE, ended.stderr
    assert sentence in ended.stderr


async def test_a_topic_that_is_not_there_is_named(system: OrderSystem) -> None:
    for command in (["events"], ["produce", "approved", "o-1"]):
        ended = await run(
            system, *command, KAFKA_TOPIC_ORDER_EVENTS="nowhere-1", KAFKA_TOPIC_ORDER_APPROVED="nowhere-2"
        )
        assert ended.returncode == ExitStatus.FAILURE
        assert "orders migrate" in ended.stderr


async def test_where_there_are_no_keys_it_is_said_how_to_make_one(system: OrderSystem) -> None:
    listed = await run(system, "api-keys", "list")
    assert (listed.returncode, listed.stdout) == (ExitStatus.OK, "")
    assert "make one with `orders api-keys create`" in listed.stderr


async def test_migrating_again_changes_nothing(system: OrderSystem) -> None:
    again = await run_json(system, "migrate")
    assert again["database"]["changed"] is False
    assert again["database"]["before"] == again["database"]["after"]
    assert {topic["created"] for topic in again["topics"]} == {False}
    assert {topic["partitions"] for topic in again["topics"]} == {4}
    assert [(one["name"], one["created"]) for one in again["search_attributes"]] == [
        (key.name, False) for key in SEARCH_ATTRIBUTES
    ]


async def test_migrating_shows_how_far_it_is(system: OrderSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = recorded_steps(monkeypatch, migrate_command)
    ended = await run_in_process(["migrate"], system.settings)
    assert ended.returncode == 0, ended.stderr
    assert [(done, total) for _, done, total in shown] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert "tables, topics, search attributes" in shown[0][0]


async def test_a_missing_inbound_topic_gets_as_many_partitions_as_the_others(system: OrderSystem) -> None:
    topic = f"order.approved-{secrets.token_hex(4)}"
    ended = await run(system, "migrate", "--json", KAFKA_TOPIC_ORDER_APPROVED=topic, KAFKA_TOPIC_PARTITIONS="3")
    assert ended.returncode == 0, ended.stderr
    made = {one["name"]: one for one in json.loads(ended.stdout)["topics"]}[topic]
    assert made == {"name": topic, "partitions": 4, "created": True}


async def test_inbound_topics_of_unequal_partitions_are_an_error(system: OrderSystem) -> None:
    topic = f"order.other-{secrets.token_hex(4)}"
    two_each = {
        f"KAFKA_TOPIC_ORDER_{name}": f"{topic}.{name.lower()}"
        for name in ("CREATED", "APPROVED", "CANCELLED", "ADDRESS_UPDATED")
    }
    settings = {**system.settings, **two_each, "KAFKA_TOPIC_PARTITIONS": "2"}
    made = await run_to_end(["migrate"], settings, system.folder)
    assert made.returncode == 0, made.stderr
    ended = await run(system, "migrate", KAFKA_TOPIC_ORDER_CREATED=f"{topic}.created")
    assert ended.returncode == ExitStatus.FAILURE
    assert f"{topic}.created has 2" in ended.stderr


async def test_migrations_at_once_all_succeed(system: OrderSystem) -> None:
    topic = f"order.raced-{secrets.token_hex(4)}"
    processes = [system.start(f"migrate-{number}", "migrate", KAFKA_TOPIC_ORDER_CANCELLED=topic) for number in range(3)]
    for process in processes:
        assert await process.wait_until_ended(60) == 0, process.log_tail


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
async def test_what_a_terminal_has_no_character_for_is_shown_as_an_escape(
    system: OrderSystem, order_id: str, encoding: str
) -> None:
    """An arrow of ours, a street of theirs: no command ends in a traceback for either."""
    await run_json(
        system, "produce", "created", order_id, "--payment-id", f"p-{order_id}", "--street", "Łódź → \U0001f69a"
    )
    await run_json(system, "wait", order_id, "--state", "validated", "--timeout", "30")
    await run_json(system, "produce", "address-updated", order_id, "--city", "Łódź → \U0001f69a")
    await run(system, "produce", "cancelled", "--file", "-", "--key", "Ł", stdin='{"order_id": "Ł→'.encode())
    commands = (
        ["events"],
        ["explain", order_id],
        ["status", order_id],
        ["list"],
        ["dlq", "list"],
        ["dlq", "replay", "--all", "--dry-run"],
        ["migrate"],
    )
    for command in commands:
        ended = await run(system, *command, PYTHONIOENCODING=encoding)
        assert ended.returncode == 0, ended.stderr
        assert "Traceback" not in ended.stderr
        assert ended.stdout, command
    assert "\\u0141\\xf3d\\u017a" in (await run(system, "status", order_id, PYTHONIOENCODING="ascii")).stdout
