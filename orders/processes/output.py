"""Standard output and standard error as no command can trip over them: the one way out for all that a person reads.

An output ends a command by a traceback where a character is not in the terminal's encoding, where the disk behind it is
full, and where its reader has gone. None of these is a defect of the command.
"""

import contextlib
import io
import os
import sys
from pathlib import Path


class OutputError(OSError):
    """Standard output takes no more: a full disk, or a reader that has gone (EPIPE)."""


class _Writer(io.TextIOWrapper):
    """Text for a file of the system; what its encoding has no character for is written as an escape."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        encoding, line_buffering, write_through = stream.encoding, stream.line_buffering, stream.write_through
        super().__init__(
            stream.detach(),
            encoding,
            errors="backslashreplace",
            line_buffering=line_buffering,
            write_through=write_through,
        )


class StandardOutput(_Writer):
    """Results. What cannot be written is an `OutputError`, and so is no trouble with any other file or server."""

    def write(self, text: str, /) -> int:
        """Writes, or raises `OutputError`."""
        try:
            return super().write(text)
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error

    def flush(self) -> None:
        """Writes what is buffered, or raises `OutputError`."""
        try:
            super().flush()
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error


class StandardError(_Writer):
    """Errors, notes and the log. What cannot be written is lost: no reason to end otherwise, and nobody to tell."""

    def write(self, text: str, /) -> int:
        """Writes what can be written."""
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered and can be written."""
        with contextlib.suppress(OSError):
            super().flush()


def protect_output() -> None:
    """Puts the two in place of the interpreter's own, before anything is written."""
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = StandardOutput(sys.stdout)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = StandardError(sys.stderr)


def _open_what_is_closed() -> None:
    """Opens nothingness in the place of what our caller has closed (``>&-``).

    Otherwise the next socket or file gets the number of the closed one, and would be written to.
    """
    nothingness = Path(os.devnull)
    if sys.stdin is None:
        sys.stdin = nothingness.open()
    if sys.stdout is None:
        sys.stdout = nothingness.open("w")
    if sys.stderr is None:
        sys.stderr = nothingness.open("w")
