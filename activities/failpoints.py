"""Points of the activities at which a test may strike the process, to prove that nothing is lost or doubled there."""

from enum import StrEnum
from typing import Final, Protocol


class Failpoint(StrEnum):
    """Where a worker's process can be struck."""

    AFTER_CHARGE = "after_charge"
    """The provider has charged, and our own table does not know it yet."""
    AFTER_REFUND = "after_refund"
    """The provider has given the money back, and our own table does not know it yet."""
    AFTER_PAYMENT_RECORDED = "after_payment_recorded"
    """Our own table has the provider's answer, and Temporal does not know it yet."""
    AFTER_PREPARATION = "after_preparation"
    """The carrier has prepared the package, and Temporal does not know it yet."""
    AFTER_DISPATCH = "after_dispatch"
    """The carrier has the package, and Temporal does not know it yet."""
    AFTER_RECORD = "after_record"
    """The transition is committed in the database, and not published yet."""
    AFTER_PUBLISH = "after_publish"
    """Kafka has the transition, and neither the database nor Temporal knows it yet."""


SHIPPING_WORKER_FAILPOINTS: Final = (Failpoint.AFTER_PREPARATION, Failpoint.AFTER_DISPATCH)
ORDER_WORKER_FAILPOINTS: Final = tuple(point for point in Failpoint if point not in SHIPPING_WORKER_FAILPOINTS)
"""Which kind of worker reaches which point."""


class Failpoints(Protocol):
    """What strikes the process at the points that a test has chosen."""

    async def reach(self, point: Failpoint) -> None:
        """Strikes where the code may wait, as activities may everywhere."""
        ...


class NoFailpoints:
    """Strikes nowhere: what activities have outside of tests."""

    async def reach(self, point: Failpoint) -> None:
        """Does nothing."""
