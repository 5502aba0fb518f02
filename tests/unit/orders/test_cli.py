"""The command line without servers: help, usage, settings, and how errors end it."""

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from orders.cli import app as cli
from orders.cli.common import run_on_servers
from orders.clients.opened import Clients
from orders.processes.exit_status import ExitStatus
from orders.settings import Settings

pytestmark = pytest.mark.usefixtures("alone")
runner = CliRunner()


def test_every_command_is_listed_and_explains_itself_with_an_example() -> None:
    listed = runner.invoke(cli.app, ["--help"])
    assert listed.exit_code == 0
    for name, command in cli._COMMANDS.items():
        assert name in listed.output
        assert command.summary in listed.output
        helped = runner.invoke(cli.app, [name, "--help"])
        assert helped.exit_code == 0, f"{name}: {helped.output}"
        is_group = "COMMAND [ARGS]" in helped.output
        assert is_group or "xample" in helped.output, f"{name} shows no example"


@pytest.mark.parametrize("arguments", [["produce", "created"], ["stack", "env"]])
def test_commands_of_a_group_have_help_of_their_own(arguments: list[str]) -> None:
    helped = runner.invoke(cli.app, [*arguments, "--help"])
    assert helped.exit_code == 0
    assert "xample" in helped.output


def test_help_fills_its_lines_to_the_terminal_s_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = [line.strip() for line in runner.invoke(cli.app, ["demo", "--help"]).stdout.splitlines()]
    [line] = [line for line in lines if line.startswith("Starts or finds the servers")]
    assert len(line) > 150, line


def test_help_imports_no_client_of_any_server() -> None:
    code = (
        "import sys; from orders.cli.app import app; from typer.testing import CliRunner; "
        "CliRunner().invoke(app, ['--help']); "
        "print([name for name in ('aiokafka', 'temporalio', 'sqlalchemy', 'httpx', 'stack') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_a_misspelt_command_is_answered_with_the_right_one() -> None:
    ended = runner.invoke(cli.app, ["migrat"])
    assert ended.exit_code == ExitStatus.USAGE
    assert "Did you mean 'migrate'" in ended.output


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("dead-letters", "orders dlq list"), ("down", "orders stack down"), ("help", "orders --help")],
)
def test_a_command_that_is_called_otherwise_here_is_answered_with_its_name(
    typed: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERS_COMMAND", "orders")
    ended = runner.invoke(cli.app, [typed])
    assert ended.exit_code == ExitStatus.USAGE
    assert f"did you mean `{meant}`?" in ended.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["list", "--state", "XX"],
        ["wait", "o-1", "--state", "XX"],
        ["produce", "created", "o-1", "--encoding", "XX"],
        ["worker", "--queue", "XX"],
        ["health", "XX"],
        ["list", "--limit", "XX"],
    ],
)
def test_a_choice_that_is_none_is_refused_in_our_words(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "127.0.0.1")
    ended = runner.invoke(cli.app, command)
    assert ended.exit_code == ExitStatus.USAGE
    assert "XX" in ended.stderr or "valid integer" in ended.stderr
    assert "Value error" not in ended.stderr


def test_a_wrong_setting_ends_any_command_with_usage_and_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PORT", "x")
    for command in (["migrate"], ["status", "o-1"], ["bridge"], ["worker"], ["settings"], ["events"]):
        ended = runner.invoke(cli.app, command)
        assert ended.exit_code == ExitStatus.USAGE, command
        assert ended.stderr.startswith("error: DB_PORT is wrong"), command
        assert ended.stdout == ""


@pytest.mark.parametrize(
    "command",
    [
        ["migrate"],
        ["status", "o-1"],
        ["wait", "o-1"],
        ["events"],
        ["bridge"],
        ["worker"],
        ["approve", "o-1"],
        ["produce", "approved", "o-1"],
    ],
)
def test_without_servers_a_command_says_how_to_get_some(command: list[str]) -> None:
    ended = runner.invoke(cli.app, command)
    assert ended.exit_code == ExitStatus.UNREACHABLE
    assert "orders up" in ended.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["start", "o-1"], "payment_id is missing: give --payment-id"),
        (["start", "o-1", "--payment-id", "p", "--amount", "12.50"], "'12.50' is no whole number: give minor units"),
        (["start", "a/b", "--payment-id", "p"], "order_id is no id: an id begins with a letter or digit"),
        (["start", "o-1", "--payment-id", "p", "--item", "mug:two:3"], "--item 'mug:two:3' is not SKU:QUANTITY"),
        (
            ["start", "o-1", "--payment-id", "p", "--adjustment", "discount"],
            "--adjustment 'discount' is not KIND:AMOUNT, such as discount:-250",
        ),
        (
            ["start", "o-1", "--payment-id", "p", "--item", "mug:1:3", "--adjustment", "discount:-4"],
            "the message has a total below 0",
        ),
        (
            ["start", "o-1", "--payment-id", "p", "--item", "mug:2:3", "--amount", "7"],
            "the message has an amount that is not the sum",
        ),
        (
            ["start", "o-1", "--payment-id", "p", "--currency", "XXQ"],
            "currency is no currency: send an alphabetic code",
        ),
        (["approve", "o-1", "--occurred-at", "yesterday"], "occurred_at is no time: send one of RFC 3339"),
        (["update-address", "o-1"], "at least one of street, city"),
        (["produce", "created"], "ORDER_ID is missing"),
        (["produce", "cancelled", "o-1", "--key", "k", "--no-key"], "--key and --no-key contradict"),
        (["produce", "cancelled", "o-1", "--sign-as", "desk-1"], "--sign-as names the key of --sign-with"),
        (["produce", "cancelled", "o-1", "--file", "-"], "ORDER_ID has no place there"),
        (["produce", "cancelled", "--file", "nowhere.json"], "--file nowhere.json cannot be read"),
    ],
)
def test_a_message_that_breaks_the_contract_is_refused_before_it_is_sent(command: list[str], sentence: str) -> None:
    ended = runner.invoke(cli.app, command)
    assert ended.exit_code == ExitStatus.USAGE
    assert sentence in ended.stderr, ended.stderr
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["migrate", "--principal", "bridge=User:b"], "--principal and --consumer-group are for --print-acls"),
        (["migrate", "--consumer-group", "g"], "--principal and --consumer-group are for --print-acls"),
        (["settings", "--connect"], "--connect is for --check"),
    ],
)
def test_an_option_without_the_one_that_it_belongs_to_is_refused(command: list[str], sentence: str) -> None:
    ended = runner.invoke(cli.app, command)
    assert ended.exit_code == ExitStatus.USAGE
    assert sentence in ended.stderr


def test_rights_are_printed_for_programs_without_a_server() -> None:
    printed = runner.invoke(cli.app, ["migrate", "--print-acls", "--principal", "bridge=User:CN=bridge", "--json"])
    assert printed.exit_code == ExitStatus.OK
    assert ("bridge", "User:CN=bridge") in {(one["role"], one["principal"]) for one in json.loads(printed.stdout)}


def test_right_settings_are_said_to_be_right() -> None:
    assert runner.invoke(cli.app, ["settings", "--check"]).stdout == "the settings are right\n"
    assert json.loads(runner.invoke(cli.app, ["settings", "--check", "--json"]).stdout) == {"right": True}


def test_settings_are_listed_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hush-91")
    monkeypatch.setenv("ORDER_APPROVAL_TIMEOUT_SECONDS", "7")
    plain = runner.invoke(cli.app, ["settings"])
    assert "ORDER_APPROVAL_TIMEOUT_SECONDS=7.0" in plain.output
    assert "DB_PASSWORD=********" in plain.output
    listed = json.loads(runner.invoke(cli.app, ["settings", "--json"]).output)
    timeout = listed["ORDER_APPROVAL_TIMEOUT_SECONDS"]
    assert (timeout["value"], timeout["set"], timeout["default"]) == ("7.0", True, "30")
    assert listed["DB_PORT"]["set"] is False
    assert "hush-91" not in plain.output + json.dumps(listed)


def test_an_unknown_name_of_a_stack_is_refused() -> None:
    ended = runner.invoke(cli.app, ["stack", "env", "--name", "../x"])
    assert ended.exit_code == ExitStatus.FAILURE
    assert "cannot name a stack" in ended.stderr


@pytest.mark.parametrize("command", [["up"], ["demo"], ["stack", "env"], ["status", "o-1"]])
def test_an_installation_without_local_servers_says_so(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.local.endpoints.find_spec", lambda _: None)
    result = runner.invoke(cli.app, command)
    assert result.exit_code in (ExitStatus.USAGE, ExitStatus.UNREACHABLE)
    assert result.stderr.startswith(("error: this installation has no local servers", "error: no server is known: set"))
    assert len(result.stderr.splitlines()) == 1


def test_an_error_that_nobody_expected_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.cli.settings.load_settings", lambda: 1 / 0)
    ended = runner.invoke(cli.app, ["settings"])
    assert isinstance(ended.exception, ZeroDivisionError)


def test_ctrl_c_ends_a_command_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> Settings:
        raise KeyboardInterrupt

    monkeypatch.setattr("orders.cli.settings.load_settings", interrupted)
    assert runner.invoke(cli.app, ["settings"]).exit_code == ExitStatus.INTERRUPTED


@pytest.mark.parametrize(
    ("produced", "sent"),
    [("created", "start"), ("approved", "approve"), ("cancelled", "cancel"), ("address-updated", "update-address")],
)
def test_a_message_has_the_same_options_to_kafka_and_straight_to_temporal(produced: str, sent: str) -> None:
    def options_of(*command: str) -> set[str]:
        return set(re.findall(r"--[a-z][a-z-]+", runner.invoke(cli.app, [*command, "--help"]).output))

    of_records = {"--encoding", "--file", "--key", "--no-key", "--sign-with", "--sign-as"}
    straight = options_of(sent)
    assert options_of("produce", produced) - straight == of_records
    assert {"--event-id", "--occurred-at", "--json"} < straight


def test_what_an_operation_notes_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    async def operation(clients: Clients) -> str:
        clients.note("some of it could not be read")
        return "result"

    assert run_on_servers(Settings(_env_file=None), operation) == "result"
    assert capsys.readouterr() == ("", "note: some of it could not be read\n")
