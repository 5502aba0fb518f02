"""What tests of commands share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orders.settings import Settings
from tests.helpers.system.command_line import logging_as_it_was


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings, no local stack, and logging as it was afterwards."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    with logging_as_it_was():
        yield
