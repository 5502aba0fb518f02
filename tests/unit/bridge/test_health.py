"""What the bridge says of its servers: once per change, also while they answer every other call."""

import pytest
from structlog.testing import capture_logs
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.enums.v1 import ResourceExhaustedCause
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.service import RPCError, RPCStatusCode

from bridge.decisions import Decision, is_of_one_run
from bridge.health import QUIET_SECONDS, Dependency, Explanation, Health

TEMPORAL = Dependency.TEMPORAL


ASKED_ONLY_WHEN_NEEDED = [Dependency.DEAD_LETTERS, Dependency.OFFSETS]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_server_that_takes_every_other_call_is_lost_once_and_recovers_once() -> None:
    clock = Clock()
    health = Health(clock)
    with capture_logs() as logs:
        for _ in range(20):
            health.failed(TEMPORAL, Decision.TRANSIENT, OSError("overloaded"))
            clock.now += 0.1
            health.answered(TEMPORAL)
        assert health.troubled == {TEMPORAL}
        clock.now += QUIET_SECONDS
        health.answered(TEMPORAL)
    assert [entry["event"] for entry in logs] == ["bridge.dependency.lost", "bridge.dependency.recovered"]
    assert health.troubled == frozenset()


def test_what_a_person_corrected_counts_at_once() -> None:
    health = Health(Clock())
    health.failed(TEMPORAL, Decision.CONFIGURATION, OSError("no such namespace"))
    assert health.needs_a_person
    health.answered(TEMPORAL)
    assert not health.needs_a_person


def test_polls_that_succeed_between_refused_ones_are_no_recovery() -> None:
    clock = Clock()
    health = Health(clock)
    health.failed(Dependency.GROUP, Decision.CONFIGURATION, OSError("no right"))
    health.answered(Dependency.GROUP)
    assert health.needs_a_person
    clock.now += QUIET_SECONDS
    health.answered(Dependency.GROUP)
    assert not health.needs_a_person


@pytest.mark.parametrize("dependency", ASKED_ONLY_WHEN_NEEDED)
def test_what_is_asked_only_when_needed_recovers_with_its_first_success(dependency: Dependency) -> None:
    """There may be no second one: nothing else is to be set aside, or committed."""
    health = Health(Clock())
    health.failed(dependency, Decision.TRANSIENT, OSError("refused"))
    health.answered(dependency)
    assert health.troubled == frozenset()


def resource_exhausted(cause: ResourceExhaustedCause.ValueType) -> RPCError:
    status = GrpcStatus(code=RPCStatusCode.RESOURCE_EXHAUSTED.value)
    status.details.add().Pack(ResourceExhaustedFailure(cause=cause))
    return RPCError("too much", RPCStatusCode.RESOURCE_EXHAUSTED, status.SerializeToString())


def test_a_busy_run_says_nothing_of_the_server_and_a_rate_limit_does() -> None:
    assert is_of_one_run(resource_exhausted(ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW))
    assert not is_of_one_run(resource_exhausted(ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT))
    assert not is_of_one_run(RPCError("too much", RPCStatusCode.RESOURCE_EXHAUSTED, b""))
    assert not is_of_one_run(RPCError("away", RPCStatusCode.UNAVAILABLE, b""))


def test_what_is_forgotten_needs_nobody_and_is_said_again_when_it_is_met_again() -> None:
    health = Health(Clock())
    with capture_logs() as logs:
        for _ in range(2):
            health.failed(Dependency.DEAD_LETTERS, Decision.CONFIGURATION, OSError("no right"))
            health.forget(Dependency.DEAD_LETTERS, Dependency.OFFSETS)
            assert not health.needs_a_person
    events = ["bridge.dependency.misconfigured", "bridge.dependency.forgotten"]
    assert [entry["event"] for entry in logs] == events * 2


EXPIRED = Explanation("client_certificate_expired", "the client certificate has expired", "renew it")
UNTRUSTED = Explanation("server_certificate_untrusted", "its authority is not trusted", "trust it")


async def test_what_can_be_explained_is_an_alarm_with_its_own_words_until_it_is_over() -> None:
    said: list[Explanation | None] = [EXPIRED, EXPIRED, UNTRUSTED]

    async def explain(server: str, _: BaseException) -> Explanation | None:
        assert server == "temporal"
        return said.pop(0)

    health, met = Health(Clock(), explain), OSError("transport error")
    with capture_logs() as logs:
        for _ in range(3):
            await health.look_into(TEMPORAL, Decision.TRANSIENT, met)
            # The calls that are under way meet the same, and know no more of it than the client says.
            health.failed(TEMPORAL, Decision.TRANSIENT, met)
            assert health.needs_a_person
        health.answered(TEMPORAL)
    events = [(entry["event"], entry.get("cause"), entry.get("detail"), entry.get("action")) for entry in logs]
    assert events == [
        ("bridge.dependency.misconfigured", EXPIRED.cause, EXPIRED.detail, EXPIRED.action),
        ("bridge.dependency.misconfigured", UNTRUSTED.cause, UNTRUSTED.detail, UNTRUSTED.action),
        ("bridge.dependency.recovered", None, None, None),
    ]
    assert not health.troubled


async def test_a_server_that_goes_away_after_an_explained_trouble_is_lost() -> None:
    said: list[Explanation | None] = [EXPIRED, None]

    async def explain(_: str, __: BaseException) -> Explanation | None:
        return said.pop(0)

    health = Health(Clock(), explain)
    with capture_logs() as logs:
        await health.look_into(TEMPORAL, Decision.TRANSIENT, OSError("transport error"))
        await health.look_into(TEMPORAL, Decision.TRANSIENT, OSError("refused"))
    assert [entry["event"] for entry in logs] == ["bridge.dependency.misconfigured", "bridge.dependency.lost"]
    assert health.troubled
    assert not health.needs_a_person


async def test_an_explanation_that_fails_hides_nothing() -> None:
    async def explain(_: str, __: BaseException) -> Explanation | None:
        raise OSError("no way to look")

    health = Health(Clock(), explain)
    with capture_logs() as logs:
        await health.look_into(TEMPORAL, Decision.TRANSIENT, OSError("refused"))
    assert [entry["event"] for entry in logs] == ["bridge.dependency.lost"]
