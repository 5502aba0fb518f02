"""Progress of what may take long, on standard error: a bar on a terminal; elsewhere a line now and then."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from orders.cli.common import console
from orders.cli.rendering.safe_markup import safe_markup
from orders.safe_text import safe_text

LINE_EVERY_SECONDS: Final = 10.0
"""Where there is no terminal: what takes less says nothing, so that a script's output stays short."""

Step = Callable[[str, int, int | None], None]
"""Takes what is being done, how much of it is done, and of how much; None where nobody knows."""


@contextmanager
def progress(what: str, *, lines: bool = True) -> Iterator[Step]:
    """Shows what is under way for as long as the block lasts, and leaves nothing behind on a terminal.

    Args:
        what: what is being done until the first step says otherwise, such as "looking".
        lines: whether lines are said where there is no terminal; a program that reads JSON wants none.
    """
    notes = console(stderr=True)
    if not notes.is_terminal:
        with _lines(notes, what, every_seconds=LINE_EVERY_SECONDS if lines else None) as step:
            yield step
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes, transient=True) as bar:
        task = bar.add_task(safe_markup(what), total=None, count="")
        yield lambda what, done, total: bar.update(
            task, description=safe_markup(what), completed=done, total=total, count=_count(done, total)
        )


@contextmanager
def _lines(notes: Console, what: str, *, every_seconds: float | None) -> Iterator[Step]:
    """Says every few seconds how far it is, from a thread of its own: what is done may block."""
    begun_at, ended = time.monotonic(), threading.Event()
    now = what

    def step(what: str, done: int, total: int | None) -> None:
        nonlocal now
        now = " ".join(word for word in (what, _count(done, total)) if word)

    def tell() -> None:
        while every_seconds is not None and not ended.wait(every_seconds):
            notes.print(f"{safe_text(now)} ({time.monotonic() - begun_at:.0f} s)", markup=False)

    telling = threading.Thread(target=tell, name="progress", daemon=True)
    telling.start()
    try:
        yield step
    finally:
        ended.set()
        telling.join()


def _count(done: int, total: int | None) -> str:
    if total is not None:
        return f"{done:,} of {total:,}"
    return f"{done:,}" if done else ""
