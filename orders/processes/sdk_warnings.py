"""Warnings of Temporal's SDK that are no matter, and would end a worker where somebody makes warnings errors."""

import warnings
from typing import Final

LATE_CANCEL: Final = "Cannot find activity to cancel for token"
"""How the warning begins."""


def let_late_cancels_pass() -> None:
    """Ignores the warning of a cancel that comes when its activity has just ended.

    Temporal cancels an activity that its workflow no longer waits for, and every one that is under way when a worker
    stops. The SDK's core hands the cancel to Python as long as it has not heard of the activity's end, and on a busy
    machine Python may have forgotten the activity before it looks at the cancel. The SDK then calls `warnings.warn`,
    in the loop that asks for activities (temporalio 1.35, ``_ActivityWorker.run``). That prints a line that no log
    reader understands. And where warnings are errors (``PYTHONWARNINGS=error``, pytest's ``filterwarnings``), it ends
    the worker with "Activity worker failed", though nothing is wrong. Read in the SDK's code: some hundred cancels on
    a slow loop did not meet in that way.
    """
    warnings.filterwarnings("ignore", LATE_CANCEL, UserWarning)
