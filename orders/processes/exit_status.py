"""The exit statuses of every command, and the error that carries one to the command line."""

from enum import IntEnum


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
    """A process stopped lest it do harm; started again before somebody has looked, it would go on with just that."""
    INTERRUPTED = 130
    """Ctrl-C ended the command before it was done (128 + SIGINT, as shells count)."""
