import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from rich.text import Text

from orders.cli.rendering.event_lines import EVENTS_HEADER, event_line
from orders.cli.rendering.moments import in_this_zone, moment_text, timestamp_text
from orders.cli.times import parse_time
from orders.local.log_lines import readable_line

NOON = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


@pytest.mark.usefixtures("in_tokyo", "at_a_terminal")
def test_a_person_reads_times_in_that_persons_zone() -> None:
    assert moment_text(NOON) == "2026-01-31T21:00:00+09:00"
    assert timestamp_text(round(NOON.timestamp() * 1_000)) == "2026-01-31T21:00:00+09:00"
    assert parse_time(moment_text(NOON), "--since", NOON) == NOON.replace(microsecond=0), "it can be given back"
    body = {"occurred_at": "2026-01-31T12:00:00.250Z", "order_id": "o-1", "sequence": 1, "state": "RECEIVED"}
    assert "21:00:00.250" in event_line("order.state_changed", body)
    line = readable_line('{"event": "worker.started", "level": "info", "timestamp": "2026-01-31T12:00:00.25Z"}')
    assert line is not None
    assert "21:00:00" in line


def test_the_header_of_events_stands_over_their_columns() -> None:
    body = {"occurred_at": "2026-01-31T12:00:00.250Z", "order_id": "o-1", "sequence": 1, "state": "RECEIVED"}
    header, line = (Text.from_markup(one).plain for one in (EVENTS_HEADER, event_line("order.state_changed", body)))
    assert header.index("order") == line.index("o-1")
    assert header.index("seq") + len("seq") == line.index(" 1 ") + len(" 1")
    assert header.index("what") == line.index("RECEIVED")


@pytest.mark.usefixtures("in_tokyo", "at_a_terminal")
@pytest.mark.parametrize(
    ("made", "shown"),
    [
        ("a person, until 2026-01-31T12:00:00Z", "a person, until 2026-01-31T21:00:00+09:00"),
        ("2026-01-31T12:00:00.250Z, 2026-01-31T20:00:00+00:00", "2026-01-31T21:00:00+09:00, 2026-02-01T05:00:00+09:00"),
        ("since 2026-01-31T21:00:00+09:00", "since 2026-01-31T21:00:00+09:00"),
        ("order 2026-02-31T25:00:00Z, x2026-01-31T12:00:00Zx", "order 2026-02-31T25:00:00Z, x2026-01-31T12:00:00Zx"),
    ],
)
def test_times_in_a_sentence_that_was_made_elsewhere_are_in_the_reader_s_zone(made: str, shown: str) -> None:
    assert in_this_zone(made) == shown


@pytest.mark.usefixtures("in_tokyo")
def test_a_sentence_for_a_program_keeps_its_times_in_utc() -> None:
    assert in_this_zone("until 2026-01-31T12:00:00Z") == "until 2026-01-31T12:00:00Z"


@pytest.mark.usefixtures("in_tokyo")
def test_a_program_reads_them_in_utc() -> None:
    assert moment_text(NOON) == "2026-01-31T12:00:00Z"
    assert timestamp_text(0) == "1970-01-01T00:00:00Z"


@pytest.mark.usefixtures("in_tokyo", "at_a_terminal")
def test_times_that_are_none_or_at_the_end_of_time_are_shown_too() -> None:
    assert timestamp_text(-1) == "unknown"
    assert timestamp_text(2**62) == f"{2**62} ms"
    assert moment_text(datetime.max.replace(tzinfo=UTC)) == "9999-12-31T23:59:59Z"


def test_the_zone_is_that_of_the_environment() -> None:
    code = "from orders.cli.rendering.moments import moment_text as m; import sys, datetime as d; "
    code += "sys.stdout.isatty = lambda: True; print(m(d.datetime(2026, 7, 1, tzinfo=d.UTC)))"
    environment = {**os.environ, "TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "2026-07-01T02:00:00+02:00"
