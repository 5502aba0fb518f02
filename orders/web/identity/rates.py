"""How often a caller may ask, and how often somebody may try what is of no use. Counted by each process for itself."""

import hashlib
import secrets
import time
from ipaddress import IPv6Address, ip_address
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from orders.web.identity import refusals
from orders.web.identity.who import Identity

_SLOTS: Final = 4_096
"""Of each kind of failed tries. An attacker chooses addresses and ids, and so how many there are to be counted; hashed
into so many slots they take half a megabyte at most. Two that share a slot share its limit, for failed tries only."""
_IPV6_NETWORK_BITS: Final = 64
"""What one customer of an IPv6 provider has at least: whoever has one address there has them all."""
_OF_ALL_KEYS: Final = 10
"""How many times as often an address may fail with any keys as with one: an address may stand for a whole office."""


class CallerRates:
    """Limits the requests of each caller.

    Args:
        per_minute: how many; 0 for no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def count(self, identity: Identity) -> None:
        """Counts a request.

        Raises:
            Problem: 429, it was one too many.
        """
        if self._limit is None or identity.via == "development":
            return
        # As many counters as there are callers who are known: unlike addresses, nobody makes them up.
        if not await self._limiter.hit(self._limit, identity.caller_id):
            stats = await self._limiter.get_window_stats(self._limit, identity.caller_id)
            raise refusals.too_many_requests(stats.reset_time - time.time())


class FailedTries:
    """Counts what was tried and was of no use, by address and by what was tried.

    What is good is never refused here, whoever else fails from the same address or with the same key's id: a secret of
    256 bits cannot be guessed, so a limit protects the servers and the log, and a lock-out would harm the owner alone.

    Args:
        per_minute: how often one thing may be tried in vain from one address.
    """

    def __init__(self, per_minute: int) -> None:
        self._of_one = RateLimitItemPerMinute(per_minute)
        self._of_address = RateLimitItemPerMinute(per_minute * _OF_ALL_KEYS)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        # Random, so that nobody can choose addresses and ids that share a slot with somebody else's.
        self._hash_key = secrets.token_bytes(16)

    async def check_address(self, address: str) -> None:
        """Asked before a try costs a statement.

        Raises:
            Problem: 429, the address has failed too often.
        """
        slot = self._slot("address", network_of(address))
        if not await self._limiter.test(self._of_address, slot):
            raise refusals.too_many_tries(await self._seconds(self._of_address, slot))

    async def count(self, address: str, tried: str) -> None:
        """Counts a try that was of no use.

        Args:
            address: whoever tried, as far as the network tells.
            tried: the key's id, or what kind of thing it was.

        Raises:
            Problem: 429, it was one too many.
        """
        network = network_of(address)
        one, all_of_them = self._slot("one", network, tried), self._slot("address", network)
        if not await self._limiter.hit(self._of_one, one):
            # It counts no further for the address: whoever keeps trying one key takes nobody else's tries away.
            raise refusals.too_many_tries(await self._seconds(self._of_one, one))
        if not await self._limiter.hit(self._of_address, all_of_them):
            raise refusals.too_many_tries(await self._seconds(self._of_address, all_of_them))

    def _slot(self, kind: str, *parts: str) -> str:
        digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8, key=self._hash_key).digest()
        return f"{kind}:{int.from_bytes(digest) % _SLOTS}"

    async def _seconds(self, limit: RateLimitItemPerMinute, slot: str) -> float:
        stats = await self._limiter.get_window_stats(limit, slot)
        return stats.reset_time - time.time()


def network_of(address: str) -> str:
    """What addresses are told apart by: an IPv4 address, an IPv6 network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> (128 - _IPV6_NETWORK_BITS):x}/64"
