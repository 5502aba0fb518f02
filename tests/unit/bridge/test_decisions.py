"""What each error means: the table of each boundary."""

import asyncio
import ssl

import pytest
from aiokafka import errors as kafka
from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure, ResourceExhaustedFailure
from temporalio.service import RPCError, RPCStatusCode

from bridge.decisions import Decision, classify_dispatch_error, classify_kafka_error, is_of_one_run

RPC_DECISIONS = {
    RPCStatusCode.CANCELLED: Decision.TRANSIENT,
    RPCStatusCode.UNKNOWN: Decision.TRANSIENT,
    RPCStatusCode.INVALID_ARGUMENT: Decision.RECORD,
    RPCStatusCode.DEADLINE_EXCEEDED: Decision.TRANSIENT,
    RPCStatusCode.NOT_FOUND: Decision.TRANSIENT,
    RPCStatusCode.ALREADY_EXISTS: Decision.TRANSIENT,
    RPCStatusCode.PERMISSION_DENIED: Decision.CONFIGURATION,
    RPCStatusCode.RESOURCE_EXHAUSTED: Decision.TRANSIENT,
    RPCStatusCode.FAILED_PRECONDITION: Decision.CONFIGURATION,
    RPCStatusCode.ABORTED: Decision.TRANSIENT,
    RPCStatusCode.OUT_OF_RANGE: Decision.RECORD,
    RPCStatusCode.UNIMPLEMENTED: Decision.CONFIGURATION,
    RPCStatusCode.INTERNAL: Decision.TRANSIENT,
    RPCStatusCode.UNAVAILABLE: Decision.TRANSIENT,
    RPCStatusCode.DATA_LOSS: Decision.TRANSIENT,
    RPCStatusCode.UNAUTHENTICATED: Decision.CONFIGURATION,
}


def rpc_error(status: RPCStatusCode, message: str = "", detail: AnyMessage | None = None) -> RPCError:
    raw = GrpcStatus(code=int(status), message=message, details=[detail] if detail else [])
    return RPCError(message, status, raw.SerializeToString())


@pytest.mark.parametrize("status", [status for status in RPCStatusCode if status is not RPCStatusCode.OK])
def test_each_status_of_temporal_has_one_decision(status: RPCStatusCode) -> None:
    assert classify_dispatch_error(rpc_error(status)) is RPC_DECISIONS[status]


def namespace_not_found() -> AnyMessage:
    detail = AnyMessage()
    detail.Pack(NamespaceNotFoundFailure(namespace="x"))
    return detail


def exhausted(cause: str) -> AnyMessage:
    detail = AnyMessage()
    detail.Pack(ResourceExhaustedFailure(cause=ResourceExhaustedCause.Value(f"RESOURCE_EXHAUSTED_CAUSE_{cause}")))
    return detail


def test_a_missing_namespace_needs_a_person() -> None:
    missing = rpc_error(RPCStatusCode.NOT_FOUND, "", namespace_not_found())
    assert classify_dispatch_error(missing) is Decision.CONFIGURATION
    by_text = rpc_error(RPCStatusCode.NOT_FOUND, "Namespace x is not found.")
    assert classify_dispatch_error(by_text) is Decision.CONFIGURATION


AT_THE_SIGNALS_LIMIT = "exceeded workflow execution limit for signal events"


def test_a_run_that_took_all_the_signals_it_may_is_waited_for() -> None:
    error = rpc_error(RPCStatusCode.INVALID_ARGUMENT, AT_THE_SIGNALS_LIMIT)
    assert classify_dispatch_error(error) is Decision.TRANSIENT


OF_ONE_RUN = [
    rpc_error(RPCStatusCode.INVALID_ARGUMENT, AT_THE_SIGNALS_LIMIT),
    rpc_error(RPCStatusCode.NOT_FOUND, "workflow execution already completed"),
    rpc_error(RPCStatusCode.RESOURCE_EXHAUSTED, "workflow is busy", exhausted("BUSY_WORKFLOW")),
]
OF_THE_SERVER = [
    rpc_error(RPCStatusCode.INVALID_ARGUMENT, "invalid namespace"),
    rpc_error(RPCStatusCode.NOT_FOUND, "", namespace_not_found()),
    rpc_error(RPCStatusCode.NOT_FOUND, "Namespace x is not found."),
    rpc_error(RPCStatusCode.RESOURCE_EXHAUSTED, "rate limit", exhausted("RPS_LIMIT")),
    rpc_error(RPCStatusCode.RESOURCE_EXHAUSTED, AT_THE_SIGNALS_LIMIT),
    *(rpc_error(status) for status in RPCStatusCode if status not in {RPCStatusCode.OK, RPCStatusCode.NOT_FOUND}),
    TimeoutError(),
    OSError(),
]


@pytest.mark.parametrize("error", OF_ONE_RUN, ids=str)
def test_what_concerns_one_run_is_waited_for_and_says_nothing_of_the_server(error: RPCError) -> None:
    assert classify_dispatch_error(error) is Decision.TRANSIENT
    assert is_of_one_run(error)


@pytest.mark.parametrize("error", OF_THE_SERVER, ids=lambda error: f"{getattr(error, 'status', '')} {error!r}")
def test_every_other_failure_says_something_of_the_server(error: BaseException) -> None:
    assert not is_of_one_run(error)


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (TimeoutError(), Decision.TRANSIENT),
        (asyncio.CancelledError(), Decision.TRANSIENT),
        (ConnectionRefusedError(), Decision.TRANSIENT),
        (OSError(), Decision.TRANSIENT),
        (RuntimeError("Failed client connect"), Decision.TRANSIENT),
        (ValueError("cannot be encoded"), Decision.RECORD),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), Decision.RECORD),
        (TypeError(), Decision.RECORD),
        (OverflowError("int too large to convert"), Decision.RECORD),
        (RecursionError(), Decision.RECORD),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_failures_of_a_call_are_decided_by_type(error: BaseException, decision: Decision) -> None:
    assert classify_dispatch_error(error) is decision


@pytest.mark.parametrize(
    ("error", "decision"),
    [
        (kafka.CommitFailedError(), Decision.LOST_OWNERSHIP),
        (kafka.IllegalStateError(), Decision.LOST_OWNERSHIP),
        (kafka.UnknownMemberIdError(), Decision.LOST_OWNERSHIP),
        (kafka.IllegalGenerationError(), Decision.LOST_OWNERSHIP),
        (kafka.RebalanceInProgressError(), Decision.LOST_OWNERSHIP),
        (kafka.KafkaConnectionError(), Decision.TRANSIENT),
        (kafka.KafkaTimeoutError(), Decision.TRANSIENT),
        (kafka.NodeNotReadyError(), Decision.TRANSIENT),
        (kafka.RequestTimedOutError(), Decision.TRANSIENT),
        (kafka.NotLeaderForPartitionError(), Decision.TRANSIENT),
        (kafka.LeaderNotAvailableError(), Decision.TRANSIENT),
        (kafka.GroupCoordinatorNotAvailableError(), Decision.TRANSIENT),
        (kafka.NotCoordinatorForGroupError(), Decision.TRANSIENT),
        (kafka.GroupLoadInProgressError(), Decision.TRANSIENT),
        (kafka.NotEnoughReplicasError(), Decision.TRANSIENT),
        (kafka.NotEnoughReplicasAfterAppendError(), Decision.TRANSIENT),
        (kafka.OutOfOrderSequenceNumber(), Decision.TRANSIENT),
        (kafka.UnknownError(), Decision.TRANSIENT),
        (TimeoutError(), Decision.TRANSIENT),
        (OSError(), Decision.TRANSIENT),
        (ssl.SSLCertVerificationError(), Decision.CONFIGURATION),
        (ssl.SSLEOFError(), Decision.TRANSIENT),
        (kafka.AuthenticationFailedError(), Decision.CONFIGURATION),
        (kafka.SaslAuthenticationFailed(), Decision.CONFIGURATION),
        (kafka.UnsupportedSaslMechanismError(), Decision.CONFIGURATION),
        (kafka.TopicAuthorizationFailedError(), Decision.CONFIGURATION),
        (kafka.GroupAuthorizationFailedError(), Decision.CONFIGURATION),
        (kafka.ClusterAuthorizationFailedError(), Decision.CONFIGURATION),
        (kafka.UnknownTopicOrPartitionError(), Decision.CONFIGURATION),
        (kafka.InvalidTopicError(), Decision.CONFIGURATION),
        (kafka.InconsistentGroupProtocolError(), Decision.CONFIGURATION),
        (kafka.UnsupportedCodecError(), Decision.CONFIGURATION),
        (kafka.AuthenticationMethodNotSupported(), Decision.CONFIGURATION),
        (kafka.IllegalSaslStateError(), Decision.CONFIGURATION),
        (kafka.SecurityDisabled(), Decision.CONFIGURATION),
        (kafka.InvalidGroupIdError(), Decision.CONFIGURATION),
        (kafka.InvalidSessionTimeoutError(), Decision.CONFIGURATION),
        (kafka.UnsupportedVersionError(), Decision.CONFIGURATION),
        (kafka.IncompatibleBrokerVersion(), Decision.CONFIGURATION),
        (kafka.UnrecognizedBrokerVersion(), Decision.CONFIGURATION),
        (kafka.InvalidConfigurationError(), Decision.CONFIGURATION),
        (kafka.InvalidRequiredAcksError(), Decision.CONFIGURATION),
        (kafka.PolicyViolationError(), Decision.CONFIGURATION),
        (kafka.KafkaConfigurationError(), Decision.CONFIGURATION),
        (kafka.CorruptRecordException(), Decision.RECORD),
        (kafka.MessageSizeTooLargeError(), Decision.RECORD),
        (kafka.RecordListTooLargeError(), Decision.RECORD),
        (kafka.InvalidTimestampError(), Decision.RECORD),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_of_kafka_has_one_decision(error: BaseException, decision: Decision) -> None:
    assert classify_kafka_error(error) is decision


def test_every_error_that_kafka_calls_retriable_is_waited_for() -> None:
    """But those for which a person has to do something all the same."""
    retriable = {error for error in all_subclasses(kafka.KafkaError) if error.retriable}
    waited_for = {error for error in retriable if classify_kafka_error(error()) is Decision.TRANSIENT}
    assert retriable - waited_for == {kafka.UnknownTopicOrPartitionError}


def all_subclasses(of: type[kafka.KafkaError]) -> set[type[kafka.KafkaError]]:
    direct = set(of.__subclasses__())
    return direct.union(*(all_subclasses(subclass) for subclass in direct))
