"""The units of systemd: read by its own check, and held to the commands and to how processes end."""

import configparser
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from orders.cli.app import _COMMANDS
from orders.processes.exit_status import ExitStatus
from orders.settings import Settings
from orders.settings.model import STOP_TIMEOUT_SECONDS
from tests.helpers.debian import ensure_installed
from tests.helpers.system.waiting import patient_seconds

UNITS: Final = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES: Final = sorted(UNITS.glob("*.service"))
PROGRAM: Final = "/opt/orders/bin/orders"


def analyze() -> Path:
    """systemd's program that reads units as systemd does; it need not run here."""
    return ensure_installed(
        lambda: Path(found) if (found := shutil.which("systemd-analyze")) else None,
        ["systemd"],
        instead="run this test on a machine with systemd",
        say=print,
    )


def read(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # As its documentation has it.
    parser.read_string(path.read_text())
    return parser


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units in a folder of their own, where the program and the account's name are some that are here."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_text(path.read_text().replace(PROGRAM, "/bin/true"))
    return folder


def verified(folder: Path, *names: str) -> str:
    ran = subprocess.run(
        [analyze(), "verify", "--man=no", "--recursive-errors=no", *names],
        cwd=folder,
        env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=patient_seconds(60),
        check=False,
    )
    return ran.stdout + ran.stderr + ("" if ran.returncode == 0 else f"\nleft with {ran.returncode}")


def names_to_verify() -> list[str]:
    return [path.name.replace("@.", "@1.") for path in [*SERVICES, UNITS / "orders.target"]]


def test_systemd_takes_every_unit(installed: Path) -> None:
    assert verified(installed, *(str(installed / name) for name in names_to_verify())) == ""


def test_systemd_s_check_tells_a_misspelt_line(installed: Path) -> None:
    common = installed / "orders-.service.d" / "common.conf"
    common.write_text(common.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert "ProtectHouse" in verified(installed, str(installed / "orders-api.service"))


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_unit_runs_a_command_that_there_is(path: Path) -> None:
    program, command, *options = read(path)["Service"]["ExecStart"].split()
    assert program == PROGRAM
    assert command in _COMMANDS
    assert not options


def test_a_process_has_time_to_end_and_is_not_started_again_where_it_would_do_the_same() -> None:
    service = read(UNITS / "orders-.service.d" / "common.conf")["Service"]
    assert float(service["TimeoutStopSec"]) > STOP_TIMEOUT_SECONDS
    kept = {ExitStatus(int(status)) for status in service["RestartPreventExitStatus"].split()}
    assert kept == {ExitStatus.USAGE, ExitStatus.NEEDS_A_PERSON}


def test_what_the_units_set_are_settings() -> None:
    lines = [line for path in UNITS.rglob("*") if path.is_file() for line in path.read_text().splitlines()]
    given = [one for line in lines if line.startswith("Environment=") for one in line.partition("=")[2].split()]
    assert {one.partition("=")[0].lower() for one in given} <= set(Settings.model_fields)
    assert "BRIDGE_INSTANCE_ID=%H-%i" in given
