"""How activities fail: the error types that Temporal and the retry policies know by name."""

from typing import Final

GATEWAY_UNAVAILABLE: Final = "GatewayUnavailable"
"""A provider did not answer; retried."""
SHIPMENT_REFUSED: Final = "ShipmentRefused"
"""The carrier did not take the shipment; this shipping attempt is lost, so it is not retried within the attempt."""
SEQUENCE_CONFLICT: Final = "SequenceConflict"
"""Another run wrote this order's events meanwhile; the workflow looks the order up again and renumbers."""

NON_RETRYABLE: Final = (SHIPMENT_REFUSED, SEQUENCE_CONFLICT)
"""The only error types that are not retried."""
