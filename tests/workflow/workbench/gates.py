"""What a timeline puts between the workers and the world: gates before activities, and gateways with moods."""

import asyncio
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.errors import PROVIDER_GIVEN_UP
from activities.ports import GatewayPayment
from schemas.activity_io import ChargePayment
from schemas.order import Address
from tests.helpers.fakes import FakeCarrierGateway, FakePaymentGateway, InMemoryOrderStore
from tests.workflow.workbench.words import Payment

VALIDATING: Final = "validate_order"
RECEIVING: Final = "receive_order"
_PUBLISHING: Final = ("publish_events", "mark_order_shipped")


class Gate:
    """Where the activities of one order wait."""

    def __init__(self) -> None:
        self.waiting: str | None = None
        """The activity that has come to the gate, by its name."""
        self._is_open = False
        self._opened = asyncio.Event()
        self._publishing = asyncio.Event()
        self._publishing.set()

    async def pass_through(self, name: str) -> None:
        if name in _PUBLISHING:
            await self._publishing.wait()
        elif not self._is_open:
            self.waiting = name
            self._opened.clear()
            await self._opened.wait()

    def let_go(self) -> None:
        self.waiting = None
        self._opened.set()

    def open(self) -> None:
        self._is_open = True
        self.let_go()

    def shut(self) -> None:
        self._is_open = False

    def hold_publishing(self, held: bool) -> None:
        if held:
            self._publishing.clear()
        else:
            self._publishing.set()


_GATED = {
    RECEIVING,
    VALIDATING,
    "charge_payment",
    "refund_payment",
    "prepare_package",
    "dispatch_carrier",
    *_PUBLISHING,
}


class Gates(Interceptor):
    """The gates of all orders, before their activities.

    Args:
        store: an order with events in it is not received once more, and so is not held there.
    """

    def __init__(self, store: InMemoryOrderStore) -> None:
        self._store = store
        self.gates: dict[str, Gate] = {}
        self.under_way = 0
        """Activities that are running now."""
        self.begun = 0
        """Activities that have ever begun."""

    def holds(self, name: str, order_id: str) -> bool:
        """Whether the activity waits at its order's gate."""
        return name != RECEIVING or not self._store.events_of(order_id)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 -- the SDK's
        gates = self

        class AtTheGate(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 -- the SDK's
                name = activity.info().activity_type
                gate = gates.gates.get(getattr(input.args[0], "order_id", ""))
                gates.under_way += 1
                gates.begun += 1
                try:
                    if gate is not None and name in _GATED and gates.holds(name, input.args[0].order_id):
                        await gate.pass_through(name)
                    return await super().execute_activity(input)
                finally:
                    gates.under_way -= 1

        return AtTheGate(next)


def _given_up() -> ApplicationError:
    return ApplicationError("the time allowed is over", type=PROVIDER_GIVEN_UP, non_retryable=True)


class MoodyProvider(FakePaymentGateway):
    """A provider that is given up over some charges, so that their outcome is unknown.

    At the first attempt: the server forgets to unlock its clock after some activities that are retried.
    """

    async def charge(self, charge: ChargePayment) -> GatewayPayment:
        if charge.payment_id.startswith(Payment.AWAY):
            raise _given_up()
        payment = await super().charge(charge)
        if charge.payment_id.startswith(Payment.LOST):
            raise _given_up()
        return payment


class MoodyCarrier(FakeCarrierGateway):
    """A carrier that is given up over some addresses before it prepares their packages."""

    async def prepare(self, order_id: str, address: Address, attempt: int) -> str:
        if address.zip_code == "AWAY":
            raise _given_up()
        return await super().prepare(order_id, address, attempt)
