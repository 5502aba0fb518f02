"""Points of the bridge at which a test may strike the process, to prove that nothing is lost there."""

from enum import StrEnum
from typing import Protocol


class Failpoint(StrEnum):
    """Where the bridge's process can be struck."""

    AFTER_POLL = "after_poll"
    """The Kafka client has handed out records, and no lane holds them yet."""
    BEFORE_CALL = "before_call"
    AFTER_CALL = "after_call"
    """Temporal has acknowledged the call, and the bridge has not noted it yet."""
    BEFORE_DEAD_LETTER = "before_dead_letter"
    AFTER_DEAD_LETTER = "after_dead_letter"
    """Kafka has acknowledged the dead letter, and the bridge has not noted it yet."""
    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"


class Failpoints(Protocol):
    """What strikes the process at the points that a test has chosen."""

    def hit(self, point: Failpoint) -> None:
        """Strikes where the code may not wait."""
        ...

    async def reach(self, point: Failpoint) -> None:
        """Strikes where the code may wait."""
        ...
