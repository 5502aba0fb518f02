"""The domain of the bridge's own tests: devices that are installed, refilled and retired, each on a topic of its own.

The bridge knows no domain. This one stands where another team's would.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from bridge import Call, Record, check_key, read_event, read_model

INSTALLED, REFILLED, RETIRED = "installed", "refilled", "retired"
KINDS: Final = (INSTALLED, REFILLED, RETIRED)
"""What happens to devices: each kind is a signal, and a topic of its own."""

DEVICE_WORKFLOW, LATE_WORKFLOW = "DeviceWorkflow", "LateDeviceEventWorkflow"
TASK_QUEUE: Final = "devices"


class DeviceEvent(BaseModel):
    """The body of a record, and the argument of each signal."""

    model_config = ConfigDict(strict=True)

    device_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
    event_id: str = ""
    """Empty for that of the record."""
    litres: Annotated[int, Field(ge=0)] = 0


class DeviceMapping:
    """A mapping as another team might write one.

    Args:
        kinds: What happens to devices, by topic.
        task_queue: Where the workers are.
    """

    def __init__(self, kinds: Mapping[str, str] | None = None, task_queue: str = TASK_QUEUE) -> None:
        self.kinds = dict(kinds or {kind: kind for kind in KINDS})
        self.topics = tuple(self.kinds)
        self.task_queue = task_queue

    def translate(self, record: Record) -> Call:
        event = read_event(record)
        told = read_model(DeviceEvent, event.fields)
        check_key(record, told.device_id, name="device_id")
        named = told.model_copy(update={"event_id": event.id if event.has_own_id else told.event_id or event.id})
        return Call(
            DEVICE_WORKFLOW,
            told.device_id,
            self.task_queue,
            signal=self.kinds[record.topic],
            signal_argument=named,
            when_closed=Call(
                LATE_WORKFLOW, late_workflow_id(told.device_id, named.event_id), self.task_queue, argument=named
            ),
        )


def late_workflow_id(device_id: str, event_id: str) -> str:
    """The id of the workflow that answers an event of a device that was retired before."""
    return f"late-{device_id}-{event_id}"


def device_value(device_id: str, **fields: Any) -> bytes:
    """A record's value."""
    return json.dumps({"device_id": device_id} | fields).encode()
