"""What commands print for a person, where no server is needed to know it."""

import asyncio
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from rich.console import Console
from typer.testing import CliRunner

from bridge import CallOutcome, Record, Refusal, Stage
from bridge.dead_letters.headers import make_dead_letter
from bridge.dead_letters.letter import Letter
from orders.cli import archive, audit, demo, dlq, events, forget
from orders.cli.app import app
from orders.cli.common import console
from orders.cli.rendering.outcomes import outcome_line
from orders.cli.status import _print
from orders.clients.topic_stream import ReadRecord
from orders.errors import OrdersError
from orders.local.demo.facts import Facts, Verdict, expected_facts
from orders.local.demo.scenarios import scenarios
from orders.local.demo.troubles import Troubles
from orders.local.servers import LocalServers
from orders.local.terminal import Terminal
from orders.local.ups import Running
from orders.operations.archive.archiving import Archived
from orders.operations.archive.forgetting import Forgotten, Staying
from orders.operations.audit.findings import Audit, Kind
from orders.operations.dead_letters.purging import PartitionPurge, PurgePlan
from orders.operations.dead_letters.replay_plan import Refused, ReplayPlan
from orders.operations.dead_letters.replaying import ReplayOutcome
from orders.operations.decide import Decision, Outcome, OutcomeStatus
from orders.operations.view import OrderView
from orders.processes.exit_status import ExitStatus
from orders.settings import Settings
from orders.settings.example import env_example
from schemas.event_types import EventType
from schemas.order import Address
from schemas.states import OrderState, OrderStep, ReasonCode
from schemas.workflow_io import OrderStatus
from stack.endpoints import Endpoints

pytestmark = pytest.mark.usefixtures("alone")
runner = CliRunner()
REFUSAL = Refusal(Stage.JSON, "json_truncated", "look for what cut it off")
SERVERS = Endpoints("127.0.0.1:1", "127.0.0.1:1", "http://127.0.0.1:2", "127.0.0.1", 1, "u", "p w", "d")


# orders status ------------------------------------------------------------------------------------------------------


def test_a_status_tells_what_there_is_and_leads_to_the_workflow(capsys: pytest.CaptureFixture[str]) -> None:
    order = OrderStatus(
        order_id="o-1",
        step=OrderStep.CHARGING_PAYMENT,
        payment_id="p-[red]1",
        amount=1250,
        currency="EUR",
        address=Address(city="Porto", country="PT"),
    )
    _print(OrderView("RUNNING", order, approved=True), Settings(_env_file=None, temporal_ui_url="http://ui:8080"))
    lines = capsys.readouterr().out.splitlines()
    shown = {name.strip(): text.strip() for name, _, text in (line.partition("  ") for line in lines)}
    assert shown == {
        "order": "o-1",
        "state": "CHARGING_PAYMENT",
        "run": "RUNNING",
        "approved": "yes",
        "payment": "p-[red]1",
        "amount": "1250 EUR (minor units)",
        "address": "Porto, PT",
        "events published": "0",
        "in Temporal's UI": "http://ui:8080/namespaces/default/workflows/order%3Ao-1",
    }


def test_a_failed_run_is_told_with_its_reason_and_a_forgotten_one_has_no_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = Settings(_env_file=None, temporal_ui_url="http://ui:8080")
    order = OrderStatus(order_id="o-1", step=OrderStep.RECEIVING, address=Address())
    _print(OrderView("GONE", order, approved=None), settings)
    gone = capsys.readouterr().out
    assert "http" not in gone
    assert "address" not in gone
    _print(OrderView("FAILED", order, approved=False, failure="it broke"), Settings(_env_file=None))
    failed = capsys.readouterr().out
    assert "FAILED: it broke" in failed
    assert "http" not in failed, "where Temporal's UI is, is not known"


# orders settings ----------------------------------------------------------------------------------------------------


def test_settings_on_a_terminal_are_a_table_that_obeys_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr("orders.cli.settings.sys", SimpleNamespace(stdout=terminal))
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "[red]mine[/]")
    shown = runner.invoke(app, ["settings"]).output
    assert "[red]mine[/]" in shown
    assert "default default" in shown, "what it would be"
    assert "DB_PORT" in shown


def test_the_example_file_is_printed() -> None:
    assert runner.invoke(app, ["settings", "--example"]).output == env_example()


# orders stack -------------------------------------------------------------------------------------------------------


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that the environment names, and that answer."""
    for name, value in SERVERS.as_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("stack.lifecycle.unready_services", lambda _: {})


@pytest.mark.usefixtures("alone", "servers")
def test_servers_that_are_there_are_found_and_described() -> None:
    up = runner.invoke(app, ["stack", "up"])
    assert up.output.splitlines()[0] == "found running"
    assert "DB_PASSWORD=p w" in up.output.splitlines()
    assert '"started": false' in runner.invoke(app, ["stack", "up", "--json"]).output
    assert "DB_PASSWORD='p w'" in runner.invoke(app, ["stack", "env"]).output.splitlines(), "as a shell reads it"
    assert '"DB_PASSWORD": "p w"' in runner.invoke(app, ["stack", "env", "--json"]).output


def test_what_is_not_running_is_not_stopped_and_has_no_address() -> None:
    down = runner.invoke(app, ["stack", "down"])
    assert (down.exit_code, down.output) == (ExitStatus.OK, "no local servers were running\n")
    env = runner.invoke(app, ["stack", "env"])
    assert env.exit_code == ExitStatus.FAILURE
    assert "no local servers are running" in env.stderr


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_stack_of_a_bad_name_is_told_by_every_command(command: str) -> None:
    ended = runner.invoke(app, ["stack", command, "--name", "../x"])
    assert ended.exit_code == ExitStatus.FAILURE
    assert "cannot name a stack" in ended.stderr


# orders dlq ---------------------------------------------------------------------------------------------------------


def replay_of(count: int) -> ReplayOutcome:
    """A dry run of so many dead letters, as many duplicates and as many that are refused."""
    plan = ReplayPlan(["t"], replays_max=None, limit=count)
    for offset in range(count):
        made = make_dead_letter(Record("t", 0, offset, 1, b"k", b"%d" % offset), REFUSAL)
        plan.add(Letter.from_record(Record("dead", 0, offset, 1, made.key, made.value, made.headers)))
    refused = [Refused(f"0:{number}", "[red]gone[/]") for number in range(count)]
    return ReplayOutcome(plan.finish(), 0, count, refused, count)


def test_a_replay_tells_twenty_of_what_it_would_do_and_counts_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    dlq._report_replay(replay_of(23), dry_run=True, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0:0 → t:0"
    assert lines[20:24] == [
        "and 3 more; --json lists all",
        "23 would be replayed; nothing was done",
        "23 left out: the same record is there more than once",
        "not replayed: 0:0 [red]gone[/]",
    ]
    assert lines[-1] == "not replayed: 3 more; --json lists all"
    assert len(lines) == 44


def test_a_replay_tells_how_many_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    dlq._report_replay(ReplayOutcome([], 7, 0, [], 0), dry_run=False, as_json=False)
    assert capsys.readouterr().out == "7 replayed\n"


def test_a_purge_asks_first_and_does_nothing_without_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = PurgePlan({TopicPartition("dead", 0): PartitionPurge(0, 2, deleted=2, kept_behind_others=3)})
    asked: list[object] = []

    def pretend(_: Settings, operation: object) -> PurgePlan:
        asked.append(operation)
        return plan

    monkeypatch.setattr(dlq, "server_settings", lambda: Settings(_env_file=None))
    monkeypatch.setattr(dlq, "run_on_servers", pretend)
    refused = runner.invoke(app, ["dlq", "purge", "--all"], input="n\n")
    assert refused.exit_code == ExitStatus.FAILURE
    assert "Delete 2 dead letters for good?" in refused.stderr
    assert "nothing was deleted" in refused.stderr
    assert len(asked) == 1, "only the plan was made"
    done = runner.invoke(app, ["dlq", "purge", "--all"], input="y\n")
    assert done.exit_code == ExitStatus.FAILURE, "something stays"
    assert "2 deleted" in done.stdout.splitlines()
    assert "3 stay: they stand behind others" in done.stdout
    assert len(asked) == 3
    assert runner.invoke(app, ["dlq", "purge"]).exit_code == ExitStatus.USAGE


# orders demo --------------------------------------------------------------------------------------------------------


def conclusion_of(
    *verdicts: Verdict, folder: Path, troubles: Troubles | None = None, others: Sequence[Running] = ()
) -> str:
    """What the demonstration says at its end."""
    written = io.StringIO()
    producer = SimpleNamespace(tools=SimpleNamespace(kafka_console_producer=Path("/bin/kafka-console-producer")))
    settings = Settings(_env_file=None)
    servers = LocalServers(
        producer,  # type: ignore[arg-type] # A stand-in.
        settings,
        folder,
        {},
        {"bridge": 9464},
        SimpleNamespace(others=lambda: others),  # type: ignore[arg-type] # A stand-in.
    )
    known = troubles or Troubles(settings, lambda _sentence, _is_over: None)
    demo._conclude(list(verdicts), known, servers, Terminal(Console(file=written, width=200)))
    return written.getvalue()


def test_a_demonstration_that_did_not_come_out_as_expected_says_what_differs(tmp_path: Path) -> None:
    good, bad, *_ = scenarios("r1")
    agrees = Verdict(good, "o-1", expected_facts(good), expected_facts(good))
    differs = Verdict(bad, "o-[2]", expected_facts(bad), Facts(("RECEIVED",), {"runs": "2 [RUNNING]"}))
    said = conclusion_of(agrees, folder=tmp_path)
    assert "Every order ran once" in said
    assert "✗" not in said
    assert "/bin/kafka-console-producer" in said, "how to send more by hand"
    said = conclusion_of(agrees, differs, folder=tmp_path)
    assert "Every order ran once" not in said
    assert "✗ o-[2] runs: expected 1 COMPLETED; happened 2 [RUNNING]" in said
    assert "beside it runs" not in said


def test_a_demonstration_that_another_up_has_run_names_it(tmp_path: Path) -> None:
    scenario = next(iter(scenarios("r1")))
    differs = Verdict(scenario, "o-1", expected_facts(scenario), Facts(("RECEIVED",)))
    other = Running(
        command="up",
        pid=4711,
        started="1.0",
        since=datetime.now(UTC),
        folder="/clone [1]",
        kafka="k:1",
        owns_servers=True,
        console_url=None,
        log_dir="logs",
    )
    said = conclusion_of(differs, folder=tmp_path, others=[other])
    assert re.search(r"beside it runs `\S*orders up` \(process 4711 in /clone \[1\], since", said)
    assert "ORDER_APPROVAL_TIMEOUT_SECONDS" in said
    agrees = Verdict(scenario, "o-1", expected_facts(scenario), expected_facts(scenario))
    assert "beside it runs" not in conclusion_of(agrees, folder=tmp_path, others=[other])


def test_a_demonstration_ends_with_whom_its_orders_wait_for(tmp_path: Path) -> None:
    scenario = next(iter(scenarios("r1")))
    settings = Settings(_env_file=None, kafka_bootstrap_servers="kafka:9092")
    troubles = Troubles(settings, lambda _sentence, _is_over: None)
    troubles.take_line("worker", '{"event": "worker.kafka.lost", "detail": "no [answer]"}')
    waits = "charge_payment, which has failed 6 times; the last time: [500]"
    verdict = Verdict(scenario, "o-1", expected_facts(scenario), Facts(("RECEIVED",)), (waits,))
    said = conclusion_of(verdict, folder=tmp_path, troubles=troubles)
    assert f"✗ o-1 waits for {waits}" in said
    assert "trouble: Kafka (kafka:9092) does not take what is published: no [answer]" in said


async def test_of_several_failures_in_a_demonstration_the_first_is_told() -> None:
    async def play() -> list[Verdict]:
        inner = ExceptionGroup("one of them", [OrdersError("no broker"), OrdersError("no broker either")])
        raise ExceptionGroup("scenarios", [inner, OrdersError("another")])

    playing = asyncio.create_task(play())
    await asyncio.wait([playing])
    with pytest.raises(OrdersError, match=r"^no broker$"):
        demo._result(playing)


# orders archive, audit, forget --------------------------------------------------------------------------------------


def test_an_archiving_says_what_stays_and_counts_what_it_does_not_name(capsys: pytest.CaptureFixture[str]) -> None:
    stays = [f"o-[{number}]" for number in range(22)]
    archive._report(Archived(5, 9, ["a"], stays, changed=2, more=True), Path("archive"), dry_run=False)
    said = capsys.readouterr()
    assert said.out == "9 events of 5 orders archived: 1 files in archive\n"
    lines = said.err.splitlines()
    assert lines[:3] == [
        "and more: --limit takes more at once",
        "2 orders stay until the next time: somebody wrote to them meanwhile",
        "stays: o-[0]: Kafka is not known to have all its events",
    ]
    assert (lines[-1], len(lines)) == ("stay: 2 more; --json lists all", 23)


def test_an_archiving_that_was_only_tried_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    archive._report(Archived(5, 9), Path("archive"), dry_run=True)
    assert capsys.readouterr().out == "9 events of 5 orders would be archived; nothing was done\n"


def test_an_audit_names_fifty_findings_and_counts_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    found = Audit(orders=3, events=7, checkpoint_orders=2, checkpoint_digest="9f86")
    for number in range(52):
        found.note(None if number == 0 else "o-1", number, Kind.MISSING, "the file is gone")
    audit._report(found)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "7 events of 3 orders were verified",
        "2 orders compared with the checkpoint of SHA-256 9f86",
        "missing: the file is gone",
        "missing: o-1, event 1: the file is gone",
    ]
    assert lines[-2:] == ["and 2 more; --json has the first thousand", "not all of it is as it was recorded"]


def test_an_erasure_that_was_only_tried_names_the_orders_that_would_stay(capsys: pytest.CaptureFixture[str]) -> None:
    staying = [Staying("o-[3]", OrderState.VALIDATED, "it is not over")]
    forget._report(Forgotten(["o-1", "o-2"], archived=1, staying=staying), dry_run=True)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "2 orders would be erased, 1 in the archive; nothing was done",
        "stays: o-[3] (VALIDATED): it is not over",
    ]


# orders events ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"not json", b"[]", b"7", b"\xff", b"{}", None])
def test_what_strangers_wrote_to_the_topic_of_events_is_shown_as_none_of_ours(
    value: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    record = ReadRecord("order.events", 2, 5, 1, b"o-1", value, ())
    events._show_one(record, console(), as_json=False)
    assert capsys.readouterr().out == "not an event of ours\n"
    events._show_one(record, console(), as_json=True)
    assert json.loads(capsys.readouterr().out)["offset"] == 5


# What became of a message -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (Outcome(OutcomeStatus.APPLIED), "o-1: order.approved applied. See: "),
        (Outcome(OutcomeStatus.REJECTED, ReasonCode.STALE), "o-1: order.approved refused as stale: an address of a"),
        (
            Outcome(OutcomeStatus.HELD, waits_for="order.created"),
            "o-1: order.approved held, as it came too early: it is decided in its turn. It waits for order.created. ",
        ),
        (
            Outcome(OutcomeStatus.UNDECIDED),
            "o-1: order.approved delivered, and not decided within 5 s. The same again with --event-id e-1 asks",
        ),
    ],
)
def test_what_became_of_a_message_is_one_sentence(outcome: Outcome, sentence: str) -> None:
    decision = Decision("e-1", CallOutcome.DELIVERED, outcome)
    assert outcome_line(EventType.ORDER_APPROVED, "o-1", decision, 5.0).startswith(sentence)
