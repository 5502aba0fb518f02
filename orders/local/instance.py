"""A name for the bridge of one `orders up`, by which Kafka knows it again after a kill and after a new start."""

import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from orders.errors import OrdersError

NAMES_MAX: Final = 100
"""So many `orders up` side by side, and one more is a mistake."""


@contextmanager
def bridge_instance_id(folder: Path) -> Iterator[str]:
    """The first name that no other process of this folder holds; it is ours until the block ends or the process dies.

    Two `orders up` side by side have different names, as two members of one name would take each other's partitions for
    ever. One that starts after another has ended takes up the ended one's name, and so its partitions, at once.

    Args:
        folder: where the names that are taken are noted. Another machine's, user's or folder's names are others.

    Raises:
        OrdersError: all names are taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    host = re.sub("[^A-Za-z0-9._-]", "-", socket.gethostname())
    place = hashlib.sha256(f"{os.getuid()}:{folder.resolve()}".encode()).hexdigest()[:8]
    for number in range(1, NAMES_MAX + 1):
        lock = FileLock(folder / f"bridge-{number}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        try:
            yield f"up-{host}-{place}-{number}"
        finally:
            lock.release()
        return
    raise OrdersError(f"{NAMES_MAX} bridges run from {folder} already; end some of them")
