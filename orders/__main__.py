"""``python -m orders``, and the console script."""

import sys
from typing import Final

from orders.hints import orders_as_typed
from orders.processes.exit_status import ExitStatus
from orders.processes.leaving import leave, status_without_output
from orders.processes.output import OutputError, protect_output
from orders.processes.stop_signals import leave_if_told_while_starting

PROCESSES: Final = frozenset({"bridge", "worker", "api"})
"""The commands that run until they are told to stop. That is their ordinary end at any moment, so they end with OK."""


def main() -> None:
    """Runs the command line and leaves with its exit status."""
    protect_output()
    if set(sys.argv[1:2]) & PROCESSES:
        leave_if_told_while_starting()
    try:
        from orders.cli.app import run  # noqa: PLC0415 - imported here so that Ctrl-C during start-up is caught below

        run(orders_as_typed())
    except OutputError as error:
        # What is left in the buffer cannot be written either, and that is said.
        leave(status_without_output(error, ExitStatus.OK), flush=False)
    except SystemExit as ended:
        leave(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    except KeyboardInterrupt:
        leave(ExitStatus.INTERRUPTED)
    leave(ExitStatus.OK)


if __name__ == "__main__":
    main()
