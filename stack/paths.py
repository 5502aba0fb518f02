"""Where things lie: downloads and builds in the user's cache folder, data and logs in the user's state folder."""

import os
import re
from pathlib import Path

from stack.errors import StackError

PROJECT = "temporal-order-orchestrator"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def cache_dir() -> Path:
    """The folder for downloads and builds; it may be deleted at any time, at the price of making them again.

    The clone's ``bin/in-env`` sets ORDERS_CACHE_DIR, so that the shell and Python agree.
    """
    named = os.environ.get("ORDERS_CACHE_DIR")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / PROJECT


def stack_dir(name: str) -> Path:
    """The folder of the stack of that name: its data, its logs and its state file.

    Raises:
        StackError: The name would not do as a folder's name.
    """
    if not _NAME.fullmatch(name):
        raise StackError(f"{name!r} cannot name a stack; use lower-case letters, digits, '-' and '_', at most 64")
    return stacks_dir() / name


def stacks_dir() -> Path:
    """The folder of all stacks' folders."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / PROJECT / "stacks"
