"""The worked example of docs/evolving-workflows.md: a screening comes before the charge, in three deployments.

Each walk is `Walk` as one of the deployments has it, and each workflow is `OrderWorkflow` with that walk.
`super().charge()` stands for what the method does today.
"""

from datetime import timedelta
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from schemas.workflow_io import OrderResult
    from workflows.life.state import OrderRunInput
    from workflows.names import ORDER_WORKFLOW
    from workflows.order import OrderWorkflow
    from workflows.walk import Walk

SCREEN_BEFORE_CHARGE: Final = "screen-before-charge"
"""Never changed and never used again: it stands in the histories."""


class _Screening(Walk):
    async def _screen(self) -> None:
        await workflow.execute_activity("screen_order", start_to_close_timeout=timedelta(seconds=4))


class CarelessWalk(_Screening):
    """Without a patch: runs that were charging when it was deployed can no longer be replayed."""

    async def charge(self) -> None:
        await self._screen()
        await super().charge()


class PatchedWalk(_Screening):
    """The first deployment: runs that have passed this place go on as they began, all others screen."""

    async def charge(self) -> None:
        if workflow.patched(SCREEN_BEFORE_CHARGE):
            await self._screen()
        await super().charge()


class DeprecatedWalk(_Screening):
    """The second deployment, when no run is left that began before the first."""

    async def charge(self) -> None:
        workflow.deprecate_patch(SCREEN_BEFORE_CHARGE)
        await self._screen()
        await super().charge()


class RemovedWalk(_Screening):
    """The third deployment, when no run is left that began before the second."""

    async def charge(self) -> None:
        await self._screen()
        await super().charge()


@workflow.defn(name=ORDER_WORKFLOW)
class Careless(OrderWorkflow):
    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        super().__init__(request)
        self._walk = CarelessWalk(self._state, self._policy, self._calls, self)

    @workflow.run
    async def run(self, request: OrderRunInput) -> OrderResult:
        return await super().run(request)


@workflow.defn(name=ORDER_WORKFLOW)
class Patched(OrderWorkflow):
    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        super().__init__(request)
        self._walk = PatchedWalk(self._state, self._policy, self._calls, self)

    @workflow.run
    async def run(self, request: OrderRunInput) -> OrderResult:
        return await super().run(request)


@workflow.defn(name=ORDER_WORKFLOW)
class Deprecated(OrderWorkflow):
    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        super().__init__(request)
        self._walk = DeprecatedWalk(self._state, self._policy, self._calls, self)

    @workflow.run
    async def run(self, request: OrderRunInput) -> OrderResult:
        return await super().run(request)


@workflow.defn(name=ORDER_WORKFLOW)
class Removed(OrderWorkflow):
    @workflow.init
    def __init__(self, request: OrderRunInput) -> None:
        super().__init__(request)
        self._walk = RemovedWalk(self._state, self._policy, self._calls, self)

    @workflow.run
    async def run(self, request: OrderRunInput) -> OrderResult:
        return await super().run(request)
