"""The exit status of every command, and which kind of error ends a command with which."""

from enum import IntEnum
from typing import Final

from orders.errors import (
    BeginsAnewError,
    NeedsAPersonError,
    NotFoundError,
    NotInTimeError,
    OrdersError,
    RefusedAtTheDoorError,
    StoppedError,
    UnreachableError,
    UsageError,
    WrongSettingsError,
)


class ExitStatus(IntEnum):
    """What the status of an ended command means; documented in docs/command-line.md."""

    OK = 0
    FAILURE = 1
    """It could not be done: an unknown order, a refused message, a process that gave up, a demo that disagrees."""
    USAGE = 2
    """The command line or a setting is wrong."""
    UNREACHABLE = 3
    """A server did not answer."""
    TIMED_OUT = 4
    """What was waited for did not happen in time."""
    NEEDS_A_PERSON = 5
    """A process stopped lest it do harm; started again before somebody has looked, it would go on with the harm."""
    BEGINS_ANEW = 6
    """A process stopped as going on could lose records, and its successor begins anew: start it again, and look why."""
    REFUSED = 7
    """The order's workflow has refused the message, and says why."""
    NOT_WHOLE = 8
    """`orders audit verify` found something that is not as it was recorded."""
    INTERRUPTED = 130
    """Ctrl-C ended the command before it was done (128 + SIGINT, as shells count)."""


_STATUSES: Final[dict[type, ExitStatus]] = {
    OrdersError: ExitStatus.FAILURE,
    UsageError: ExitStatus.USAGE,
    WrongSettingsError: ExitStatus.USAGE,
    RefusedAtTheDoorError: ExitStatus.USAGE,
    NotFoundError: ExitStatus.FAILURE,
    UnreachableError: ExitStatus.UNREACHABLE,
    NotInTimeError: ExitStatus.TIMED_OUT,
    NeedsAPersonError: ExitStatus.NEEDS_A_PERSON,
    BeginsAnewError: ExitStatus.BEGINS_ANEW,
    StoppedError: ExitStatus.INTERRUPTED,
}
"""The status for each kind of error."""


def exit_status_of(error: OrdersError) -> ExitStatus:
    """The status for an error, which is its own kind's or that of the kind it is a case of."""
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
