"""Commands that a person is told to type, as that person can paste them. Pure but for one environment variable."""

import os
import re
from typing import Final

_QUOTED: Final = re.compile(r"`[^`]*`|\[bold\].*?\[/bold\]", re.DOTALL)
"""What stands between backticks, and in the help's examples."""
_OURS: Final = re.compile(r"\borders(?= (?:[a-z]|--))")


def orders_as_typed() -> str:
    """How a person here types the command: from a clone its wrapper, which `bin/in-env` names; else ``orders``."""
    return os.environ.get("ORDERS_COMMAND", "orders")


def as_typed(text: str) -> str:
    """A sentence of ours with every command in it as it is typed here.

    Sentences name commands as ```orders migrate```, wherever they are made: also in a worker on another machine, where
    the command is called otherwise. So whoever shows a sentence to a person puts it through here, once.
    """
    return _QUOTED.sub(lambda quoted: _OURS.sub(orders_as_typed(), quoted[0]), text)
