"""The worked example of docs/evolving-workflows.md: a screening comes before the charge, in three deployments.

Each class is `OrderWorkflow` as one of them has it. `super()._charge()` stands for what the method does today.
"""

from datetime import timedelta
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from schemas.workflow_io import OrderResult
    from workflows.life.state import OrderRunInput
    from workflows.names import ORDER_WORKFLOW
    from workflows.order import OrderWorkflow

SCREEN_BEFORE_CHARGE: Final = "screen-before-charge"
"""Never changed and never used again: it stands in the histories."""


class _Screening(OrderWorkflow):
    async def _screen(self) -> None:
        await workflow.execute_activity("screen_order", start_to_close_timeout=timedelta(seconds=4))


@workflow.defn(name=ORDER_WORKFLOW)
class Careless(_Screening):
    """Without a patch: runs that were charging when it was deployed can no longer be replayed."""

    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: OrderRunInput) -> OrderResult:
        return await super().run(request)

    async def _charge(self) -> None:
        await self._screen()
        await super()._charge()


@workflow.defn(name=ORDER_WORKFLOW)
class Patched(_Screening):
    """The first deployment: runs that have passed this place go on as they began, all others screen."""

    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: OrderRunInput) -> OrderResult:
        return await super().run(request)

    async def _charge(self) -> None:
        if workflow.patched(SCREEN_BEFORE_CHARGE):
            await self._screen()
        await super()._charge()


@workflow.defn(name=ORDER_WORKFLOW)
class Deprecated(_Screening):
    """The second deployment, when no run is left that began before the first."""

    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: OrderRunInput) -> OrderResult:
        return await super().run(request)

    async def _charge(self) -> None:
        workflow.deprecate_patch(SCREEN_BEFORE_CHARGE)
        await self._screen()
        await super()._charge()


@workflow.defn(name=ORDER_WORKFLOW)
class Removed(_Screening):
    """The third deployment, when no run is left that began before the second."""

    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: OrderRunInput) -> OrderResult:
        return await super().run(request)

    async def _charge(self) -> None:
        await self._screen()
        await super()._charge()
