"""Outages of Kafka and Temporal that a campaign goes through, each with what must be true when it is over."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from schemas.event_types import EventType
from stack import RunningStack, ServiceName
from stack.temporal import LIMITS
from tests.faults.drivers.postgres_outages import PostgresOutages
from tests.faults.drivers.watching import CONTINUES_WITHIN_SECONDS, SETTLED, Absence
from tests.faults.drivers.work_outages import WorkOutages
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.messages.messages import MALFORMATIONS, message_of
from tests.helpers.servers.kafka_topics import configure_topic
from tests.helpers.servers.one_order_proxy import OneOrderProxy
from tests.helpers.servers.proxy import Proxy
from tests.helpers.system.processes import OrdersProcess
from tests.helpers.system.system import PARTITIONS, OrderSystem

NOTICED_WITHIN_SECONDS = 60.0
ORDERS_MEANWHILE = 30
"""Two records each: more than `RECORDS_HELD_MAX`."""
RECORDS_HELD_MAX = 50
"""How much the bridge may hold at once (I11)."""
LOST = "bridge.dependency.lost"
OVER = ("bridge.dependency.recovered", "bridge.dependency.forgotten")
"""It is back; or its partitions were assigned anew, and nothing is asked of it any more."""
RATE_LIMIT, OVERLOADED_CALLS_PER_SECOND = "frontend.namespaceRPS", 10
MORE_PARTITIONS = PARTITIONS + 1


def changes_of_state(bridge: OrdersProcess) -> Counter[tuple[str, str]]:
    """How often the bridge has said of each dependency that it is lost, and that this is over."""
    lines = [json.loads(line) for line in bridge.log.splitlines() if "bridge.dependency." in line]
    return Counter((line["event"], line["dependency"]) for line in lines)


async def send_a_bad_record(system: OrderSystem, *, with_key: bool = True) -> None:
    """Something to be set aside, and in any case something to do."""
    message = MALFORMATIONS["truncated"].make("o-bad")
    await system.produce(
        [Outgoing(system.topic_of(EventType.ORDER_CREATED), message.value, message.key if with_key else None)]
    )


async def send_orders_to_cancel(system: OrderSystem, count: int = 1) -> None:
    """Orders that nobody has planned, and that end at once: two records each."""
    ids = [f"o-{secrets.token_hex(6)}" for _ in range(count)]
    events = [
        *((EventType.ORDER_CREATED, {"order_id": one, "payment_id": f"p-{one}"}) for one in ids),
        *((EventType.ORDER_CANCELLED, {"order_id": one}) for one in ids),
    ]
    made = [(kind, message_of(kind, body)) for kind, body in events]
    await system.produce(Outgoing(system.topic_of(kind), message.value, message.key) for kind, message in made)


class Outages:
    """Does things to the servers of a system with one bridge.

    Args:
        system: It must run on the servers, its bridge behind the proxies.
        servers: They can be killed.
        kafka: Between the bridge and Kafka.
        temporal: Between the bridge and Temporal; it can refuse one order's calls.
        work: What may be done to its workers and providers.
    """

    def __init__(
        self, system: OrderSystem, servers: RunningStack, kafka: Proxy, temporal: OneOrderProxy, work: WorkOutages
    ) -> None:
        self.system = system
        self.work = work
        self.postgres = PostgresOutages(work, servers)
        self._servers = servers
        self.kafka = kafka
        self.temporal = temporal
        self.injected: Counter[str] = Counter()

    def start_bridge(self, *, expect_end: bool = False, **settings: str) -> OrdersProcess:
        """Starts a bridge behind the proxies."""
        return self.system.start_bridge(
            expect_end=expect_end,
            KAFKA_BOOTSTRAP_SERVERS=self.kafka.address,
            TEMPORAL_HOST=self.temporal.address,
            **settings,
        )

    # Kafka ----------------------------------------------------------------------------------------------------------

    async def kafka_restarted(self) -> None:
        """An ordinary restart of the broker."""
        await self._outage("kafka restarted", lambda: self._restart("kafka"))

    async def kafka_killed(self) -> None:
        """The broker crashes, and is away for a while."""
        await self._outage("kafka killed", lambda: self._kill_for_a_while("kafka"))

    async def kafka_stopped(self) -> None:
        """The broker freezes: connections stay open, and nothing answers."""
        await self._outage("kafka stopped", lambda: self._freeze("kafka"))

    async def kafka_connections_reset(self) -> None:
        """All connections of the bridge to the broker end at once; the broker is well."""
        await self._outage("kafka connections reset", lambda: self._reset(self.kafka))

    async def partitions_added(self) -> None:
        """Each topic gets a partition. It is noticed within 15 s, or earlier at the next reconnection."""
        topics = self.system.input_topics
        admin = await self._admin()
        try:
            await admin.create_partitions({topic: NewPartitions(MORE_PARTITIONS) for topic in topics})
        finally:
            await admin.close()
        self.injected["partitions added"] += 1

    async def dead_letters_refused(self) -> None:
        """Kafka takes no more for the dead letters than those with a key; the others wait."""

        async def refuse() -> None:
            before = self._lost("dead_letters")
            # A topic that is compacted takes no record without a key.
            await self._set_dead_letters({"cleanup.policy": "compact"})
            await send_a_bad_record(self.system, with_key=False)
            await self._until_lost("dead_letters", before)
            await self._others_go_on()
            await self._set_dead_letters({"cleanup.policy": "delete"})

        await self._outage("dead letters refused", refuse)

    # Temporal -------------------------------------------------------------------------------------------------------

    async def temporal_restarted(self) -> None:
        """An ordinary restart."""
        await self._outage("temporal restarted", lambda: self._restart("temporal"))

    async def temporal_killed(self) -> None:
        """Temporal crashes, and is away for a while."""
        await self._outage("temporal killed", lambda: self._kill_for_a_while("temporal"))

    async def temporal_stopped(self) -> None:
        """Temporal freezes."""
        await self._outage("temporal stopped", lambda: self._freeze("temporal"))

    async def temporal_connections_reset(self) -> None:
        """All connections of the bridge to Temporal end at once."""
        await self._outage("temporal connections reset", lambda: self._reset(self.temporal))

    async def replies_lost(self, then: Callable[[], Awaitable[None]]) -> None:
        """Temporal takes calls, and its answers do not arrive.

        Args:
            then: Produces something, whose calls are to be the ones in question.
        """

        async def lose() -> None:
            before = self._lost("temporal")
            self.temporal.mute()
            await then()
            await self._until_lost("temporal", before)
            await self.temporal.drop()
            self.temporal.flow()

        await self._outage("reply lost after the call", lose)

    async def temporal_overloaded(self, then: Callable[[], Awaitable[None]]) -> None:
        """Temporal takes few calls and refuses the others.

        Args:
            then: Produces more than it takes.
        """

        async def overload() -> None:
            LIMITS[RATE_LIMIT] = OVERLOADED_CALLS_PER_SECOND
            try:
                await self._restart("temporal")
                # The restart itself was an outage; what comes now is another one.
                await self.system.wait_until(self._all_recovered, CONTINUES_WITHIN_SECONDS, lambda: "an end of it")
                before = self._lost("temporal")
                await then()
                await self._until_lost("temporal", before)
            finally:
                LIMITS[RATE_LIMIT] = ordinary
            await self._restart("temporal")

        ordinary = LIMITS[RATE_LIMIT]
        await self._outage("temporal overloaded", overload)

    # How ------------------------------------------------------------------------------------------------------------

    async def _outage(self, kind: str, happen: Callable[[], Awaitable[None]]) -> None:
        """Lets something happen, and holds the bridge to what it promises for every outage."""
        bridge = self.system.running("bridge")
        before = changes_of_state(bridge)
        await happen()
        await send_a_bad_record(self.system)
        await self.system.wait_until_drained(CONTINUES_WITHIN_SECONDS)
        await self.system.wait_until(self._all_recovered, CONTINUES_WITHIN_SECONDS, lambda: f"recovery after {kind}")
        assert bridge.exit_status is None, f"{kind}\n{bridge.log_tail}"
        often = {key: count for key, count in (changes_of_state(bridge) - before).items() if count > 2}
        assert not often, f"{kind}: said more than once per change of state: {often}"
        self.injected[kind] += 1

    async def _all_recovered(self) -> bool:
        said = changes_of_state(self.system.running("bridge"))
        lost = {dependency: count for (event, dependency), count in said.items() if event == LOST}
        return all(sum(said[event, dependency] for event in OVER) == count for dependency, count in lost.items())

    def _lost(self, dependency: str) -> int:
        return changes_of_state(self.system.running("bridge"))[LOST, dependency]

    async def _others_go_on(self) -> None:
        """I10: while a bad record waits for its dead letter, others are settled."""
        bridge = self.system.running("bridge")
        before = bridge.log.count(SETTLED)
        await send_orders_to_cancel(self.system, ORDERS_MEANWHILE)

        async def settled() -> bool:
            return bridge.log.count(SETTLED) >= before + 2 * ORDERS_MEANWHILE

        await self.system.wait_until(settled, CONTINUES_WITHIN_SECONDS, lambda: "others settled beside a bad record")

    async def _until_lost(self, dependency: str, before: int) -> None:
        async def lost() -> bool:
            return self._lost(dependency) > before

        await self.system.wait_until(lost, NOTICED_WITHIN_SECONDS, lambda: f"the bridge says that {dependency} is lost")

    async def _kill_for_a_while(self, service: ServiceName) -> None:
        """More than the bridge may hold is there when the server is back."""
        absence = Absence(self.system, service)
        await absence.begin()
        before = self._lost(service)
        if service == "kafka":
            await send_orders_to_cancel(self.system, ORDERS_MEANWHILE)
        await asyncio.to_thread(self._servers.kill, service)
        if service != "kafka":
            await send_orders_to_cancel(self.system, ORDERS_MEANWHILE)
        await self._until_lost(service, before)
        await absence.watch()
        await self._restart(service)
        if service == "kafka":
            await send_a_bad_record(self.system)
        await absence.wait_until_it_goes_on()

    async def _freeze(self, service: ServiceName) -> None:
        before = self._lost(service)
        self._servers.pause(service)
        try:
            await self._until_lost(service, before)
        finally:
            self._servers.resume(service)

    async def _reset(self, proxy: Proxy) -> None:
        before = proxy.accepted

        async def connected_anew() -> bool:
            return proxy.accepted > before

        await proxy.drop()
        await self.system.wait_until(connected_anew, CONTINUES_WITHIN_SECONDS, lambda: "new connections")

    async def _restart(self, service: ServiceName) -> None:
        await asyncio.to_thread(self._servers.restart, service)

    async def _set_dead_letters(self, configs: dict[str, str]) -> None:
        servers = self._servers.endpoints.kafka_bootstrap_servers
        await configure_topic(servers, self.system.dead_letters_topic, configs)

    async def _admin(self) -> AIOKafkaAdminClient:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers.endpoints.kafka_bootstrap_servers)
        await admin.start()
        return admin
