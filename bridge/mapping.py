"""The port between the bridge and whoever uses it: what a record means."""

from collections.abc import Collection
from typing import Protocol

from bridge.calls import Call
from bridge.record import Record


class Mapping(Protocol):
    """Which topics a bridge reads, and the call that each record becomes."""

    @property
    def topics(self) -> Collection[str]:
        """The topics, read once when the bridge is made. Not empty, and without the dead-letter topic."""
        ...

    def translate(self, record: Record) -> Call:
        """The call for a record.

        Pure and quick: the same record always gives the same call, because a crash may have it translated again, and
        nothing is waited for, because the poll loop translates every record of a poll. A large record is translated in
        a thread, so that it may meet another translation that is under way.

        Raises:
            RefusedError: The record can never be delivered: it is set aside with the error's refusal. Whatever else is
                raised counts as a mistake in the mapping: it is logged, and the record is refused as `decoder_failed`.
        """
        ...
