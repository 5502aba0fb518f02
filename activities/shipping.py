"""Activities that ship: each is idempotent by order."""

from temporalio import activity

from activities.errors import as_application_errors
from activities.failpoints import Failpoint, Failpoints, NoFailpoints
from activities.giving_up import ProviderAccess, ProviderCalls
from activities.ports import CarrierGateway
from schemas.activity_io import DispatchedCarrier, PreparedPackage, Shipment


class ShippingActivities:
    """Prepares packages and hands them to the carrier."""

    def __init__(self, carrier: CarrierGateway, failpoints: Failpoints | None = None) -> None:
        self._carrier = carrier
        self.access = ProviderAccess("carrier")
        """Whether the carrier lets us ask it."""
        self._failpoints: Failpoints = failpoints or NoFailpoints()

    @activity.defn
    async def prepare_package(self, shipment: Shipment) -> PreparedPackage:
        """Prepares the package for its address."""
        with as_application_errors():
            async with ProviderCalls(self.access, shipment.patience).made():
                package_id = await self._carrier.prepare(shipment.order_id, shipment.address, shipment.attempt)
            await self._failpoints.reach(Failpoint.AFTER_PREPARATION)
        return PreparedPackage(package_id=package_id)

    @activity.defn
    async def dispatch_carrier(self, shipment: Shipment) -> DispatchedCarrier:
        """Hands the package to the carrier."""
        with as_application_errors():
            async with ProviderCalls(self.access, shipment.patience).made():
                tracking_id = await self._carrier.dispatch(shipment.order_id, shipment.address, shipment.attempt)
            await self._failpoints.reach(Failpoint.AFTER_DISPATCH)
        return DispatchedCarrier(tracking_id=tracking_id)
