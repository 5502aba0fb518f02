"""What a command shows of its progress, kept: what a person sees of it comes and goes with the machine's speed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

Shown = tuple[str, int, int | None]


def recorded_steps(monkeypatch: pytest.MonkeyPatch, command: ModuleType) -> list[Shown]:
    """The steps of a command from now on, each with what is done, how much of it, and of how much.

    Args:
        monkeypatch: takes it back.
        command: the command's module, which shows its progress by `orders.cli.rendering.progress`.
    """
    shown: list[Shown] = []

    @contextmanager
    def progress(_what: str, **_: bool) -> Iterator[Callable[[str, int, int | None], None]]:
        yield lambda what, done, total: shown.append((what, done, total))

    monkeypatch.setattr(command, "progress", progress)
    return shown
