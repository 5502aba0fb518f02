"""Limits: a caller's own, and those of failed tries, which lock nobody out and take bounded memory."""

import asyncio

import pytest

from orders.roles import Role
from orders.web.identity.rates import CallerRates, FailedTries, network_of
from orders.web.identity.who import DEVELOPMENT, Identity
from orders.web.problems import Problem

SHOP = Identity("shop", Role.VIEWER.included, "api_key")


async def refused(tries: FailedTries, address: str, tried: str) -> Problem | None:
    try:
        await tries.count(address, tried)
    except Problem as problem:
        return problem
    return None


async def test_a_caller_has_a_limit_of_his_own_however_he_shows_himself() -> None:
    rates = CallerRates(3)
    for _ in range(3):
        await rates.count(SHOP)
    with pytest.raises(Problem) as problem:
        await rates.count(Identity("shop", Role.VIEWER.included, "session", "api_key:shop"))
    assert problem.value.status == 429
    assert 1 <= int(problem.value.headers["Retry-After"]) <= 60
    await rates.count(Identity("other", Role.VIEWER.included, "api_key"))


async def test_development_and_a_limit_of_0_have_none() -> None:
    rates, without = CallerRates(1), CallerRates(0)
    for _ in range(5):
        await rates.count(DEVELOPMENT)
        await without.count(SHOP)


async def test_failed_tries_of_one_thing_are_refused_and_those_of_others_are_not() -> None:
    tries = FailedTries(5)
    outcomes = [await refused(tries, "192.0.2.1", "key-a") for _ in range(8)]
    assert [one is not None for one in outcomes] == [False] * 5 + [True] * 3
    assert outcomes[-1] is not None
    assert 1 <= int(outcomes[-1].headers["Retry-After"]) <= 60
    assert await refused(tries, "192.0.2.1", "key-b") is None
    assert await refused(tries, "192.0.2.2", "key-a") is None


async def test_an_address_that_fails_with_ever_other_keys_is_refused_before_it_costs_a_statement() -> None:
    tries = FailedTries(5)
    for number in range(50):
        await tries.check_address("192.0.2.1")
        assert await refused(tries, "192.0.2.1", f"key-{number}") is None
    with pytest.raises(Problem, match="too many"):
        await tries.check_address("192.0.2.1")
    await tries.check_address("192.0.2.2")


async def test_tries_that_were_under_way_together_are_refused_from_the_first_that_is_one_too_many() -> None:
    tries = FailedTries(5)
    outcomes = [await refused(tries, "192.0.2.1", f"key-{number}") for number in range(52)]
    assert [one is not None for one in outcomes] == [False] * 50 + [True] * 2
    assert await refused(tries, "192.0.2.2", "key-0") is None


async def test_whatever_is_tried_from_wherever_takes_bounded_memory() -> None:
    tries = FailedTries(5)
    for number in range(20_000):
        await refused(tries, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", f"key-{number}")
        if number % 1_000 == 0:
            await asyncio.sleep(0)
    storage = tries._limiter.storage
    counters = storage.storage  # type: ignore[attr-defined] # limits' own, of which there is no count to ask for
    assert len(counters) <= 2 * 2 * 4_096, "two kinds, two windows"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("unknown", "unknown", True),
    ],
)
def test_an_ipv6_customer_is_one_however_many_addresses_it_has(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same
