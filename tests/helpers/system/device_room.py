"""A room in the domain of devices (`tests.helpers.devices`), with workflows that take what the bridge sends."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from stack.endpoints import Endpoints
from tests.helpers.devices import (
    DEVICE_WORKFLOW,
    INSTALLED,
    KINDS,
    LATE_WORKFLOW,
    DeviceEvent,
    DeviceMapping,
    device_value,
)
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.system.bridge_room import Room, open_room_of


class DeviceRoom(Room):
    """A room whose topics are the kinds of what happens to devices."""

    def topic(self, kind: str = INSTALLED) -> str:
        return self.topics_by_kind[kind]

    def event(self, kind: str, device_id: str, **fields: Any) -> Outgoing:
        """A record of a device, with the device's id as key."""
        return Outgoing(self.topic(kind), device_value(device_id, **fields), key=device_id.encode())

    def installed(self, device_id: str, **changes: Any) -> Outgoing:
        """A record that a device was installed; the changes are the record's."""
        return replace(self.event(INSTALLED, device_id), **changes)

    async def signals(self, device_id: str) -> list[tuple[str, DeviceEvent]]:
        """The signals of a device's latest run."""
        return await self.signals_of(device_id, DeviceEvent)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker with the workflows below."""
        async with Worker(
            self.client,
            task_queue=self.task_queue,
            workflows=[Device, LateDeviceEvent],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            yield


def open_device_room(endpoints: Endpoints, *, partitions: int = 3) -> AbstractAsyncContextManager[DeviceRoom]:
    """A room with a topic for each kind."""
    return open_room_of(DeviceRoom, endpoints, KINDS, DeviceMapping, partitions=partitions)


@workflow.defn(name=DEVICE_WORKFLOW)
class Device:
    """Completes when it is retired; until then it takes signals."""

    def __init__(self) -> None:
        self._retired_by: str | None = None

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self._retired_by is not None)
        return str(self._retired_by)

    @workflow.signal
    def installed(self, event: DeviceEvent) -> None: ...

    @workflow.signal
    def refilled(self, event: DeviceEvent) -> None: ...

    @workflow.signal
    def retired(self, event: DeviceEvent) -> None:
        self._retired_by = event.event_id


@workflow.defn(name=LATE_WORKFLOW)
class LateDeviceEvent:
    """Completes with the event's id."""

    @workflow.run
    async def run(self, event: DeviceEvent) -> str:
        return event.event_id
