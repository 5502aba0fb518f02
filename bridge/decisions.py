"""What an exception means for the bridge: one function for each boundary, by type and never by text alone."""

import ssl
from enum import StrEnum

from aiokafka import errors as kafka
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.service import RPCError, RPCStatusCode


class Decision(StrEnum):
    """What an error means for the record, or the work, that met it."""

    TRANSIENT = "transient"
    """An outage, a time-out or overload: try again, for ever; nothing is set aside."""
    RECORD = "record"
    """The record is at fault, and always will be: dead letter."""
    CONFIGURATION = "configuration"
    """A person has to change something: pause, raise the alarm, try again now and then; never a dead letter."""
    LOST_OWNERSHIP = "lost_ownership"
    """The partition is another member's by now: drop it silently."""


_RPC_DECISIONS: dict[RPCStatusCode, Decision] = {
    RPCStatusCode.INVALID_ARGUMENT: Decision.RECORD,
    RPCStatusCode.OUT_OF_RANGE: Decision.RECORD,
    RPCStatusCode.UNAUTHENTICATED: Decision.CONFIGURATION,
    RPCStatusCode.PERMISSION_DENIED: Decision.CONFIGURATION,
    RPCStatusCode.UNIMPLEMENTED: Decision.CONFIGURATION,
    RPCStatusCode.FAILED_PRECONDITION: Decision.CONFIGURATION,
}
"""What is not here is transient: it is the decision that cannot lose a record."""

_SIGNALS_LIMIT_TEXT = "limit for signal"
"""In Temporal's message for a run that has taken 10,000 signals (server 1.27: "exceeded workflow execution limit for
signal events", an InvalidArgument). It passes as soon as the run continues as new, so the record is not at fault."""

_OF_A_CLOSED_CONNECTION = frozenset(
    {
        (RPCStatusCode.CANCELLED, "operation was canceled"),
        (RPCStatusCode.INTERNAL, "h2 protocol error: http2 error"),
    }
)
"""What the client itself says where a connection ends that a call has just begun on (temporalio 1.35): in 230,000 calls
on connections of half a second 218 times the first, 4 times the second. Its time-outs have the first status as well,
and another text."""


def classify_dispatch_error(error: BaseException) -> Decision:
    """What a failed call on Temporal means for its record."""
    if isinstance(error, RPCError):
        if error.status is RPCStatusCode.NOT_FOUND:
            return _classify_not_found(error)
        if _is_at_the_signals_limit(error):
            return Decision.TRANSIENT
        return _RPC_DECISIONS.get(error.status, Decision.TRANSIENT)
    if isinstance(error, (ValueError, TypeError, OverflowError, RecursionError)):
        # The payload could not be built from this record: no repeat will change that.
        return Decision.RECORD
    return Decision.TRANSIENT


def is_of_one_run(error: BaseException) -> bool:
    """Whether a transient failure says nothing of Temporal as a whole: one run is closing, gone, or has too much to do.

    The server's causes of "resource exhausted" tell (temporalio's ``ResourceExhaustedCause``).
    """
    if not isinstance(error, RPCError):
        return False
    if error.status is RPCStatusCode.NOT_FOUND:
        return _classify_not_found(error) is Decision.TRANSIENT
    if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
        return _is_busy_workflow(error)
    return _is_at_the_signals_limit(error)


def ended_with_its_connection(error: BaseException) -> bool:
    """Whether a call ended because its connection did, which says nothing of Temporal: the next call has another one.

    Temporal closes each connection at a greatest age, 5 minutes unless it is told otherwise, and what begins in that
    moment ends with it.
    """
    return isinstance(error, RPCError) and (error.status, error.message) in _OF_A_CLOSED_CONNECTION


def _is_at_the_signals_limit(error: RPCError) -> bool:
    return error.status is RPCStatusCode.INVALID_ARGUMENT and _SIGNALS_LIMIT_TEXT in error.message.lower()


def _is_busy_workflow(error: RPCError) -> bool:
    failure = ResourceExhaustedFailure()
    details = error.grpc_status.details if error.raw_grpc_status else ()
    return any(
        detail.Unpack(failure) and failure.cause == ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW
        for detail in details
    )


def _classify_not_found(error: RPCError) -> Decision:
    """A missing namespace needs a person; a run that vanished between two steps of the server needs a repeat."""
    details = error.grpc_status.details if error.raw_grpc_status else ()
    if any("NamespaceNotFound" in detail.type_url for detail in details) or "namespace" in error.message.lower():
        return Decision.CONFIGURATION
    return Decision.TRANSIENT


_LOST_OWNERSHIP_ERRORS = (
    kafka.CommitFailedError,
    kafka.IllegalStateError,
    kafka.UnknownMemberIdError,
    kafka.IllegalGenerationError,
    kafka.RebalanceInProgressError,
)
_CONFIGURATION_ERRORS = (
    ssl.SSLCertVerificationError,
    kafka.AuthenticationFailedError,
    kafka.AuthenticationMethodNotSupported,
    kafka.SaslAuthenticationFailed,
    kafka.UnsupportedSaslMechanismError,
    kafka.IllegalSaslStateError,
    kafka.SecurityDisabled,
    kafka.TopicAuthorizationFailedError,
    kafka.GroupAuthorizationFailedError,
    kafka.ClusterAuthorizationFailedError,
    kafka.UnknownTopicOrPartitionError,
    kafka.InvalidTopicError,
    kafka.InvalidGroupIdError,
    kafka.InvalidSessionTimeoutError,
    kafka.InconsistentGroupProtocolError,
    kafka.UnsupportedVersionError,
    kafka.IncompatibleBrokerVersion,
    kafka.UnrecognizedBrokerVersion,
    kafka.UnsupportedCodecError,
    kafka.InvalidConfigurationError,
    kafka.InvalidRequiredAcksError,
    kafka.PolicyViolationError,
    kafka.KafkaConfigurationError,
)
_RECORD_ERRORS = (
    kafka.MessageSizeTooLargeError,
    kafka.RecordListTooLargeError,
    kafka.InvalidTimestampError,
    kafka.CorruptRecordException,
)


def classify_kafka_error(error: BaseException) -> Decision:
    """What an exception of the Kafka client means: while consuming, committing or producing a dead letter.

    RECORD, while producing, means that the broker takes everything but this record.
    """
    if isinstance(error, _LOST_OWNERSHIP_ERRORS):
        return Decision.LOST_OWNERSHIP
    if isinstance(error, _CONFIGURATION_ERRORS):
        return Decision.CONFIGURATION
    if isinstance(error, _RECORD_ERRORS):
        return Decision.RECORD
    return Decision.TRANSIENT
