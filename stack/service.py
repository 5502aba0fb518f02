"""What every local server is to the code that starts and stops it."""

import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from stack.processes import Launch
from stack.progress import ProgressBoard

ServiceName = Literal["kafka", "temporal", "postgres"]
SERVICES: tuple[ServiceName, ...] = ("kafka", "temporal", "postgres")


@dataclass(frozen=True, slots=True)
class Start:
    """What goes along with one start of the servers.

    Attributes:
        board: Where progress is told.
        abandoned: Set where another server has failed, or the user has had enough; long work looks at it and ends.
    """

    board: ProgressBoard
    abandoned: threading.Event


class Service(Protocol):
    """A server as a native process. Each method blocks."""

    name: ServiceName
    first_signal: signal.Signals
    start_patience_seconds: float
    stop_patience_seconds: float

    @property
    def log_path(self) -> Path:
        """Where its output goes."""

    def prepare(self, start: Start) -> None:
        """Makes everything that it needs before it can run: programs, configuration, an empty database.

        Raises:
            StackError: It cannot be made.
        """

    def launch(self) -> Launch:
        """How its process is started, after ``prepare``."""

    def check(self) -> None:
        """Asks it whether it is ready.

        Raises:
            NotReadyError: It is not, yet.
        """

    def erase(self) -> None:
        """Deletes its data, of which nothing is to be kept. It is not running."""
