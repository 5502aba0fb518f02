"""Reads the arguments of signals. An argument that cannot be read makes an event that is answered as invalid."""

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from schemas.event_types import EventType
    from schemas.inbound import InboundEvent
    from schemas.workflow_io import ShippingMilestone
    from workflows.converter import EncryptedPayloadError, demands_encryption


def read_event(event_type: EventType, argument: RawValue | None) -> InboundEvent:
    """The event of a signal, with its id and type filled in.

    Where payloads have to be encrypted, so has the type of the event: a signal without it may be anybody's, who has no
    key, and holds nothing or what was taken from elsewhere in the order's history.

    Args:
        event_type: the type that the signal stands for.
        argument: the signal's first argument; None where a person sent it without.
    """
    value = _read(argument, InboundEvent)
    event = value if isinstance(value, InboundEvent) else InboundEvent(malformed=value is not None)
    accepted = (event_type,) if demands_encryption(workflow.payload_converter()) else ("", event_type)
    fits = event.type in accepted
    if not event.type and not fits:
        workflow.logger.warning("order.signal.unencrypted: a signal that does not say what event it is was refused")
    return event.model_copy(
        update={
            # A signal sent by hand is a new event each time.
            "event_id": event.event_id or str(workflow.uuid4()),
            "type": event_type.value,
            "arrived_at": workflow.now(),
            "malformed": event.malformed or not fits,
        }
    )


def read_milestone(argument: RawValue | None) -> ShippingMilestone | None:
    """The milestone of a shipping attempt; None where the argument is no milestone."""
    value = _read(argument, ShippingMilestone)
    return value if isinstance(value, ShippingMilestone) else None


def cancel_requested() -> InboundEvent:
    """The event that stands for Temporal's own cancellation of the workflow."""
    return InboundEvent(
        event_id=str(workflow.uuid4()),
        type=EventType.ORDER_CANCELLED.value,
        arrived_at=workflow.now(),
        body={"cancelled_by": "an operator, in Temporal"},
    )


def _read(argument: RawValue | None, model: type) -> object:
    """The decoded argument, of whatever type; None where there was no argument."""
    if argument is None:
        return None
    try:
        decoded: object = workflow.payload_converter().from_payload(argument.payload, model)
    except EncryptedPayloadError:
        # A good event of a sender that has keys: the workflow task fails, and is repeated until this worker has them.
        raise
    except Exception as error:  # noqa: BLE001 -- a signal may hold any bytes, and a raising handler stops the order
        workflow.logger.warning("order.signal.unreadable: %s", type(error).__name__)
        return argument
    return decoded
