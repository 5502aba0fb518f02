"""A full disk, a reader that has gone, any encoding: a command ends with a sentence at most, never with a traceback."""

import errno
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orders.processes.exit_status import ExitStatus
from orders.processes.leaving import status_without_output

FULL_DISK = Path("/dev/full")
COMMANDS = (["settings"], ["settings", "--json"], ["settings", "--example"], ["--help"], ["dlq", "list", "--help"])


def run(
    arguments: list[str], environment: Mapping[str, str] | None = None, **streams: Any
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "orders", *arguments]
    everything = {**os.environ, "COLUMNS": "100", **(environment or {})}
    return subprocess.run(command, env=everything, check=False, timeout=60, **streams)


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_full_disk_is_a_failure_in_one_sentence(arguments: list[str], unbuffered: str) -> None:
    with FULL_DISK.open("wb") as disk:
        ended = run(arguments, {"PYTHONUNBUFFERED": unbuffered}, stdout=disk, stderr=subprocess.PIPE)
    assert ended.stderr.decode() == "error: the output could not be written: No space left on device\n"
    assert ended.returncode == ExitStatus.FAILURE


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_reader_that_has_gone_is_told_nothing(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = run(arguments, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert ended.stderr == b""


@pytest.mark.parametrize("arguments", [["settings", "--wrong"], ["health", "bridge"]], ids=" ".join)
def test_an_error_that_cannot_be_written_has_its_status_all_the_same(arguments: list[str]) -> None:
    with FULL_DISK.open("wb") as disk:
        ended = run(
            arguments,
            {"BRIDGE_HEALTH_PORT": "0", "XDG_STATE_HOME": "/nonexistent"},
            stdout=subprocess.PIPE,
            stderr=disk,
        )
    assert ended.returncode == ExitStatus.USAGE
    assert ended.stdout == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
def test_what_an_encoding_has_no_character_for_is_written_as_an_escape(encoding: str) -> None:
    shown = {"DB_NAME": "aä→\U0001f4e6", "PYTHONIOENCODING": encoding}
    ended = run(["settings"], shown, capture_output=True)
    assert ended.returncode == 0, ended.stderr
    expected = "DB_NAME=aä→\U0001f4e6".encode(encoding, "backslashreplace").decode(encoding)
    assert expected in ended.stdout.decode(encoding).splitlines()


def test_an_error_is_written_in_any_encoding() -> None:
    ended = run(["wait", "o-1", "--state", "→"], {"PYTHONIOENCODING": "ascii"}, capture_output=True)
    assert ended.returncode == ExitStatus.USAGE
    assert b"\\u2192" in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_output_that_the_caller_has_closed_is_no_trouble() -> None:
    command = f"'{sys.executable}' -m orders settings <&- >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 0


def test_an_argument_that_is_no_text_is_refused_in_a_sentence() -> None:
    command: list[str | bytes] = [sys.executable, "-m", "orders", "events", b"o-\xff"]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (ExitStatus.USAGE, b"")
    assert ended.stderr == b"error: the argument 'o-\\udcff' is not UTF-8 text\n"


@pytest.mark.parametrize(
    ("error", "status", "left_with", "sentence"),
    [
        (OSError(errno.EPIPE, "Broken pipe"), 0, 0, ""),
        (OSError(errno.EPIPE, "Broken pipe"), 4, 4, ""),
        (OSError(errno.ENOSPC, "No space left on device"), 0, 1, "No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device"), 4, 4, "No space left on device"),
        (ValueError("I/O operation on closed file"), 0, 1, "I/O operation on closed file"),
    ],
)
def test_only_output_that_somebody_waits_for_makes_a_failure(
    error: OSError | ValueError, status: int, left_with: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_without_output(error, status) == left_with
    assert capsys.readouterr().err == (f"error: the output could not be written: {sentence}\n" if sentence else "")
