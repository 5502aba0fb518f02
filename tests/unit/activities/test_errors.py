"""What Temporal is told of errors: a type, and nothing that a customer or an operator would not want told (I16)."""

import errno
import socket
import ssl
from datetime import timedelta

import asyncpg
import httpx
import pytest
import structlog.testing
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from temporalio.exceptions import ApplicationError, CancelledError

from activities.adapters.http import _obstacle
from activities.adapters.postgres.errors import database_error
from activities.errors import NON_RETRYABLE, application_error, as_application_errors
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

SECRET = "1 Long Road"  # noqa: S105 # A customer's street.


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (DatabaseUnavailableError("down"), "DatabaseUnavailable"),
        (KafkaUnavailableError("down"), "KafkaUnavailable"),
        (GatewayUnavailableError("down"), "GatewayUnavailable"),
        (GatewayContractError("odd"), "GatewayContradiction"),
        (GatewayNotAskedError("a wrong key"), "GatewayNotAsked"),
        (GivenUpError("no outcome"), "ProviderGivenUp"),
        (ShipmentRefusedError("no"), "ShipmentRefused"),
        (SequenceConflictError("taken"), "SequenceConflict"),
        (KeyError(SECRET), "UnexpectedKeyError"),
    ],
)
def test_every_error_has_a_type_and_only_the_listed_ones_are_final(error: Exception, error_type: str) -> None:
    told = application_error(error)

    assert told.type == error_type
    assert told.non_retryable is (error_type in NON_RETRYABLE)
    assert SECRET not in str(told)


def test_what_is_not_tried_again_is_written_down_a_second_time() -> None:
    """Each of these ends something, or begins it anew; whatever else fails is tried again, for as long as it takes."""
    assert set(NON_RETRYABLE) == {"ShipmentRefused", "ProviderGivenUp", "SequenceConflict"}


@pytest.mark.parametrize("kind", [GatewayUnavailableError, GatewayNotAskedError])
def test_a_provider_is_left_alone_for_as_long_as_the_error_says(
    kind: type[GatewayUnavailableError | GatewayNotAskedError],
) -> None:
    told = application_error(kind("busy", timedelta(seconds=7)))

    assert told.next_retry_delay == timedelta(seconds=7)


def test_the_cause_of_an_error_stays_here() -> None:
    with pytest.raises(ApplicationError) as failed, as_application_errors():
        raise DatabaseUnavailableError("down") from ValueError(SECRET)

    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


def test_of_a_defect_the_log_says_where_and_not_what() -> None:
    with structlog.testing.capture_logs() as logged, pytest.raises(ApplicationError), as_application_errors():
        raise KeyError(SECRET)

    (entry,) = logged
    assert (entry["event"], entry["error"]) == ("activities.defect", "KeyError")
    assert __file__ in str(entry["where"])
    assert SECRET not in str(logged)


def test_of_a_deep_defect_the_innermost_frames_are_logged_and_no_more() -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise KeyError(SECRET)
        dig(depth - 1)

    with structlog.testing.capture_logs() as logged, pytest.raises(ApplicationError), as_application_errors():
        dig(30)

    assert [frame.rpartition(" ")[2] for frame in logged[0]["where"]] == ["dig"] * 12


def test_an_outage_is_no_defect() -> None:
    with structlog.testing.capture_logs() as logged, pytest.raises(ApplicationError), as_application_errors():
        raise DatabaseUnavailableError("down")

    assert not logged


@pytest.mark.parametrize("error", [ApplicationError("mine", type="Mine"), CancelledError()])
def test_what_is_meant_for_temporal_already_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as failed, as_application_errors():
        raise error

    assert failed.value is error


def driver_error(code: type[asyncpg.PostgresError]) -> DBAPIError:
    return DBAPIError("SELECT 1", None, code(f"Failing row contains ({SECRET})"), hide_parameters=True)


@pytest.mark.parametrize(
    "error",
    [
        driver_error(asyncpg.DeadlockDetectedError),
        driver_error(asyncpg.SerializationError),
        driver_error(asyncpg.LockNotAvailableError),
        driver_error(asyncpg.QueryCanceledError),
        driver_error(asyncpg.AdminShutdownError),
        driver_error(asyncpg.TooManyConnectionsError),
        driver_error(asyncpg.ReadOnlySQLTransactionError),
        driver_error(asyncpg.UndefinedTableError),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.InvalidPasswordError(f"password {SECRET}"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.ConnectionDoesNotExistError("closed"),
        ConnectionRefusedError(111, SECRET),
        TimeoutError(),
        PoolTimeoutError("QueuePool limit"),
        DBAPIError("SELECT 1", None, Exception("gone"), connection_invalidated=True),
    ],
    ids=lambda error: type(getattr(error, "orig", error)).__name__,
)
def test_an_outage_of_the_database_is_told_as_one_in_our_words(error: Exception) -> None:
    told = database_error(error)

    assert isinstance(told, DatabaseUnavailableError)
    assert SECRET not in str(told)


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("INSERT", None, asyncpg.UniqueViolationError(SECRET)),
        driver_error(asyncpg.CheckViolationError),
        asyncpg.DataError("invalid input for query argument"),
        ValueError(SECRET),
    ],
    ids=lambda error: type(getattr(error, "orig", error)).__name__,
)
def test_a_defect_of_ours_is_no_outage(error: Exception) -> None:
    assert database_error(error) is None


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (None, None),
        (OSError("all attempts failed"), None),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), None),
        (socket.gaierror(-2, "unknown"), "the name of the provider's host cannot be resolved"),
        (ssl.SSLError(1, "self-signed"), "no connection by TLS that we trust can be made to the provider"),
        (OSError(errno.ENETUNREACH, "unreachable"), "there is no way from here to the provider's host"),
    ],
)
@pytest.mark.parametrize("of_several", [False, True])
def test_what_of_ours_keeps_us_from_a_provider_is_told_from_a_provider_that_is_away(
    cause: Exception | None, sentence: str | None, *, of_several: bool
) -> None:
    error = httpx.ConnectError("no connection")
    # As where each of a host's addresses was tried.
    error.__cause__ = ExceptionGroup("each address", [cause]) if of_several and cause else cause
    assert _obstacle(error) == sentence
