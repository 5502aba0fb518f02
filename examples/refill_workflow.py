"""The workflows that examples/refill_bridge.py feeds: they count each refill once, however often it is delivered."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from examples.refill_bridge import Refill


@workflow.defn
class RefillWorkflow:
    """One device, until its last refill. Its result is how many litres it took."""

    def __init__(self) -> None:
        self._litres_by_event: dict[str, int] = {}
        self._is_over = False

    @workflow.run
    async def run(self) -> int:
        """Waits for the last refill, and for all handlers."""
        await workflow.wait_condition(lambda: self._is_over and workflow.all_handlers_finished())
        return sum(self._litres_by_event.values())

    @workflow.signal
    def refill(self, refill: Refill) -> None:
        """Counts a refill. A repeat has the same event id, and so changes nothing."""
        self._litres_by_event[refill.event_id] = refill.litres
        self._is_over = self._is_over or refill.is_last


@workflow.defn
class LateRefillWorkflow:
    """Answers a refill of a device that had its last one before. Its result says which."""

    @workflow.run
    async def run(self, refill: Refill) -> str:
        """The late refill's event id."""
        return refill.event_id
