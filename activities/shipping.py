"""Activities that ship: each is idempotent by order."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import GATEWAY_UNAVAILABLE, SHIPMENT_REFUSED
from activities.ports import CarrierGateway, GatewayUnavailableError, ShipmentRefusedError
from schemas.orchestration import DispatchedCarrier, PreparedPackage, Shipment


class ShippingActivities:
    """Prepares packages and hands them to the carrier."""

    def __init__(self, carrier: CarrierGateway) -> None:
        self._carrier = carrier

    @activity.defn
    async def prepare_package(self, shipment: Shipment) -> PreparedPackage:
        """Prepares the package for its address."""
        try:
            package_id = await self._carrier.prepare(shipment.order_id, shipment.address, shipment.attempt)
        except (GatewayUnavailableError, ShipmentRefusedError) as error:
            raise _application_error(error) from error
        return PreparedPackage(package_id=package_id)

    @activity.defn
    async def dispatch_carrier(self, shipment: Shipment) -> DispatchedCarrier:
        """Hands the package to the carrier."""
        try:
            tracking_id = await self._carrier.dispatch(shipment.order_id, shipment.address, shipment.attempt)
        except (GatewayUnavailableError, ShipmentRefusedError) as error:
            raise _application_error(error) from error
        return DispatchedCarrier(tracking_id=tracking_id)


def _application_error(error: GatewayUnavailableError | ShipmentRefusedError) -> ApplicationError:
    if isinstance(error, ShipmentRefusedError):
        return ApplicationError(str(error), type=SHIPMENT_REFUSED, non_retryable=True)
    return ApplicationError(str(error), type=GATEWAY_UNAVAILABLE)
