"""How activities fail: the error types that Temporal and the retry policies know by name."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from temporalio.exceptions import ApplicationError, FailureError

from activities.giving_up import GivenUpError
from activities.ports import (
    DatabaseUnavailableError,
    GatewayContractError,
    GatewayNotAskedError,
    GatewayUnavailableError,
    KafkaUnavailableError,
    SequenceConflictError,
    ShipmentRefusedError,
)

DATABASE_UNAVAILABLE: Final = "DatabaseUnavailable"
"""Postgres did not answer; retried."""
KAFKA_UNAVAILABLE: Final = "KafkaUnavailable"
"""Kafka did not answer; retried."""
NOT_HANDED_OVER: Final = "NotHandedOver"
"""What was in Kafka at an order's deadline has not reached Temporal yet; asked again until it has."""
GATEWAY_UNAVAILABLE: Final = "GatewayUnavailable"
"""A provider did not answer; retried, until the time allowed is over."""
GATEWAY_NOT_ASKED: Final = "GatewayNotAsked"
"""Something of ours keeps a provider from being asked, as a wrong key; retried until it is mended."""
PROVIDER_GIVEN_UP: Final = "ProviderGivenUp"
"""A provider left every call without a known outcome for the time allowed; the order takes another branch."""
GATEWAY_CONTRADICTION: Final = "GatewayContradiction"
"""A provider's answer is not about what was asked; retried, since only a person can say what it means."""
SHIPMENT_REFUSED: Final = "ShipmentRefused"
"""The carrier did not take the shipment. The shipping attempt is lost, and a retry within it would change nothing."""
SEQUENCE_CONFLICT: Final = "SequenceConflict"
"""Another run wrote this order's events meanwhile; the workflow begins again from what is recorded."""
UNEXPECTED: Final = "Unexpected"
"""A defect of ours: Temporal shows this and the name of the error's class. Retried, so that a mended worker goes on."""

NON_RETRYABLE: Final = (SHIPMENT_REFUSED, PROVIDER_GIVEN_UP, SEQUENCE_CONFLICT)
"""The only error types that are not retried."""

FRAMES_LOGGED_MAX: Final = 12
"""Innermost frames of a defect's traceback that are logged: enough from our activity to the driver's last call."""

_log = structlog.get_logger("activities")

_TYPES: Final[dict[type[Exception], str]] = {
    DatabaseUnavailableError: DATABASE_UNAVAILABLE,
    KafkaUnavailableError: KAFKA_UNAVAILABLE,
    GatewayUnavailableError: GATEWAY_UNAVAILABLE,
    GatewayNotAskedError: GATEWAY_NOT_ASKED,
    GivenUpError: PROVIDER_GIVEN_UP,
    GatewayContractError: GATEWAY_CONTRADICTION,
    ShipmentRefusedError: SHIPMENT_REFUSED,
    SequenceConflictError: SEQUENCE_CONFLICT,
}


_SAYS_WHEN: Final = (GatewayUnavailableError, GatewayNotAskedError)
"""Errors that may say when to try again."""


def application_error(error: Exception) -> ApplicationError:
    """The error as Temporal keeps it: a type, and a message without secrets and without values of orders.

    The texts of the ports' errors are written for that. The text of any other error may quote anything, so only the
    name of its class is kept.
    """
    error_type = _TYPES.get(type(error))
    if error_type is None:
        name = type(error).__name__
        return ApplicationError(f"{name} in the activity; the worker's log says where", type=f"{UNEXPECTED}{name}")
    return ApplicationError(
        str(error),
        type=error_type,
        non_retryable=error_type in NON_RETRYABLE,
        next_retry_delay=error.retry_after if isinstance(error, _SAYS_WHEN) else None,
    )


@contextmanager
def as_application_errors() -> Iterator[None]:
    """Turns whatever an activity's work raises into an `ApplicationError`. Every activity's body stands in it."""
    try:
        yield
    except FailureError:
        raise
    except Exception as error:  # noqa: BLE001 # The edge: every error becomes one that Temporal knows by its type.
        failure = application_error(error)
        if type(error) not in _TYPES:
            _log_defect(error)
        # Without a cause: the SDK would copy its message and its stack into the workflow's history (I16).
        raise failure from None


def _log_defect(error: Exception) -> None:
    """Logs where a defect of ours was raised, innermost last; never its text, which may quote a row or a message."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_LOGGED_MAX:]
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error("activities.defect", error=type(error).__name__, where=where)
