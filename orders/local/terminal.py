"""Writing to a terminal that may be closed at any time."""

import contextlib
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

_COLOURS = ("cyan", "magenta", "blue", "green")


class Terminal:
    """Where a person watches several processes at once. Once it is closed, it takes everything and shows nothing."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._names: dict[str, str] = {}
        self._status: Status | None = None

    @property
    def status(self) -> Callable[[str], None] | None:
        """Shows what is under way on one line, in the place of what it showed before; nothing for an empty text.

        None where the console is no terminal: what is written there cannot be taken back.
        """
        return self._show_status if self._console.is_terminal else None

    def _show_status(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            if not text:
                if self._status is not None:
                    self._status.stop()
                self._status = None
            elif self._status is None:
                self._status = self._console.status(escape(text))
                self._status.start()
            else:
                self._status.update(escape(text))

    def say(self, text: str = "") -> None:
        """A line of our own, in rich's markup."""
        # A closed terminal (SIGHUP) must not keep us from ending what we started.
        with contextlib.suppress(OSError, ValueError):
            self._console.print(text)

    def say_plain(self, text: str) -> None:
        """A line as it is."""
        with contextlib.suppress(OSError, ValueError):
            self._console.print(text, markup=False)

    def show_table(self, table: Table) -> None:
        """A table."""
        with contextlib.suppress(OSError, ValueError):
            self._console.print(table)

    def say_of(self, name: str, text: str) -> None:
        """A line of a process, behind its name."""
        colour = self._names.setdefault(name, _COLOURS[len(self._names) % len(_COLOURS)])
        self.say(f"[{colour}]{name:<16}[/{colour}] {text}")
