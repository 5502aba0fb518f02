"""Things done to the bridges of a system, each of which leaves one bridge that owns all partitions."""

import asyncio
import signal

from bridge.failpoints import Failpoint
from tests.faults.drivers.outages import Outages, send_a_bad_record, send_orders_to_cancel
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import PARTITIONS
from tests.helpers.system.waiting import assert_eventually

STRUCK_WITHIN_SECONDS = 60.0
HELD_BACK_WITHIN_SECONDS = 30.0
AT_ONCE_SECONDS = 5.0
"""What a second SIGTERM may take."""
ORDERS_UNDER_WAY = 20


async def killed(outages: Outages) -> None:
    """Kill -9; Kafka misses it after its session."""
    await outages.system.running("bridge").kill9()
    await _replace(outages)


async def struck(outages: Outages, point: Failpoint) -> None:
    """Kill -9 at a point, which something is sent to lead it to."""
    await outages.system.running("bridge").terminate()
    await send_a_bad_record(outages.system)
    bridge = outages.start_bridge(expect_end=True, FAILPOINTS=f"{point}:kill@1")
    await send_orders_to_cancel(outages.system)
    await bridge.wait_until_ended(STRUCK_WITHIN_SECONDS)
    await _replace(outages)


async def told_to_stop(outages: Outages) -> None:
    """SIGTERM in the middle of its work: it ends with 0 in time (I13)."""
    await send_orders_to_cancel(outages.system, ORDERS_UNDER_WAY)
    await outages.system.running("bridge").terminate()
    await _replace(outages)


async def told_to_stop_while_temporal_hangs(outages: Outages) -> None:
    """SIGTERM with calls in flight that come to no end: it ends with 0 in time all the same (I13)."""
    await _hang(outages)
    await outages.system.running("bridge").terminate()
    outages.temporal.flow()
    await _replace(outages)


async def told_twice(outages: Outages) -> None:
    """A second SIGTERM, in the middle of a drain that would take its time: it ends at once."""
    bridge = outages.system.running("bridge")
    await _hang(outages)
    bridge.send(signal.SIGTERM)
    await bridge.wait_until_logged("process.stopping")
    bridge.send(signal.SIGTERM)
    assert await bridge.wait_until_ended(AT_ONCE_SECONDS) == 128 + signal.SIGTERM, bridge.log_tail
    outages.temporal.flow()
    await _replace(outages)


async def frozen(outages: Outages) -> None:
    """SIGSTOP past its session, while another one takes over; then SIGCONT: it wakes up knowing nothing."""
    system = outages.system
    sleeping = system.running("bridge")
    sleeping.send(signal.SIGSTOP)
    await send_orders_to_cancel(system, ORDERS_UNDER_WAY)
    second = outages.start_bridge()
    await system.wait_until_bridges_own_partitions(members=1)
    sleeping.send(signal.SIGCONT)
    await system.wait_until_bridges_own_partitions(members=2)
    await _leave(outages, second)


async def joined_and_left(outages: Outages) -> None:
    """A second bridge for a moment."""
    second = outages.start_bridge()
    await outages.system.wait_until_bridges_own_partitions(members=2)
    await _leave(outages, second)


async def outnumbering(outages: Outages) -> None:
    """More bridges than each topic has partitions; then all but one leave at once, and not the last who came."""
    system = outages.system
    first = system.running("bridge")
    others = [outages.start_bridge() for _ in range(PARTITIONS + 1)]
    await system.wait_until_bridges_own_partitions(members=len(others) + 1)
    await send_orders_to_cancel(system, ORDERS_UNDER_WAY)
    await _leave(outages, first, *others[1:])


async def drained_too_slowly(outages: Outages) -> None:
    """Another bridge joins, and one that cannot drain within its budget loses its partitions with calls in flight."""
    system = outages.system
    await system.running("bridge").terminate()
    # A call may take far longer than a drain.
    slow = outages.start_bridge(BRIDGE_DRAIN_TIMEOUT_SECONDS="1", BRIDGE_RPC_TIMEOUT_SECONDS="20")
    await system.wait_until_bridges_own_partitions()
    await _hang(outages)
    # To Temporal directly, as a bridge joins its group only once Temporal answers.
    second = system.start_bridge()
    await system.wait_until_bridges_own_partitions(members=2)
    outages.temporal.flow()
    await slow.wait_until_logged('"drained": false')
    await asyncio.gather(slow.terminate(), second.terminate())
    await _replace(outages)


async def _hang(outages: Outages) -> None:
    """Temporal stops answering, with calls under way."""
    outages.temporal.stall()
    await send_orders_to_cancel(outages.system, ORDERS_UNDER_WAY)
    await assert_eventually(lambda: outages.temporal.held_back, HELD_BACK_WITHIN_SECONDS, "calls that hang")


async def _replace(outages: Outages) -> None:
    # Not by the group alone: one that has died is a member of it until its session is over.
    await outages.start_bridge().wait_until_logged("bridge.partitions.assigned")
    await outages.system.wait_until_bridges_own_partitions()


async def _leave(outages: Outages, *bridges: OrdersProcess) -> None:
    await asyncio.gather(*(bridge.terminate() for bridge in bridges))
    await outages.system.wait_until_bridges_own_partitions()
