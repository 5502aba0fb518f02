"""Ports for our own processes here: free ones, and no two commands of this machine choose the same."""

import os
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self

from filelock import FileLock, Timeout

from orders.errors import OrdersError
from stack.ports import is_free

PORTS_TRIED_MAX: Final = 50


class OwnPorts:
    """Chooses ports and keeps them until the block ends.

    A process listens only seconds after its port was chosen, and another `orders up` or `orders demo` that is started
    in between would find the port free too. So each port that is chosen is locked, for all commands of this user.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"orders-ports-{os.getuid()}"
        self._kept = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def first_free(self, host: str, first: int) -> int:
        """The first port from this one on that nobody listens on, and nobody of ours has chosen.

        Raises:
            OrdersError: there is none among the next ones.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for port in range(first, first + PORTS_TRIED_MAX):
            lock = FileLock(self._folder / f"{port}.lock", is_singleton=False)
            with suppress(Timeout), ExitStack() as held:
                held.enter_context(lock.acquire(timeout=0))
                if is_free(port, host):
                    self._kept.push(held.pop_all())
                    return port
        raise OrdersError(
            f"no port from {first} to {first + PORTS_TRIED_MAX - 1} is free: set API_PORT or the health ports"
        )
