"""Another team's whole bridge: refills of devices, from Kafka to their own workflow. See docs/your-own-bridge.md.

``python -m examples.refill_bridge`` runs it; ``KAFKA``, ``TEMPORAL`` and ``REFILLS_TOPIC`` say where.
"""

import asyncio
import os
import signal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bridge import SINGLE_ATTEMPT, Bridge, BridgeConfig, Call, Kafka, Record, check_key, read_event, read_model

TOPIC = os.environ.get("REFILLS_TOPIC", "refills")


class Refill(BaseModel):
    """A record's value, and with its event id the signal."""

    model_config = ConfigDict(strict=True)  # No text for a number.

    device_id: Annotated[str, Field(pattern="^[a-z0-9-]{1,40}$")]
    litres: Annotated[int, Field(ge=0)]
    is_last: bool = False
    event_id: str = ""


class RefillMapping:
    """What a record of the topic means: a signal to the device's workflow, which it starts where there is none."""

    topics = (TOPIC,)

    def translate(self, record: Record) -> Call:
        """The call for a record; what `read_event`, `read_model` and `check_key` refuse becomes a dead letter."""
        event = read_event(record)
        refill = read_model(Refill, event.fields).model_copy(update={"event_id": event.id})
        check_key(record, refill.device_id, name="device_id")
        late = Call("LateRefillWorkflow", f"late:{refill.device_id}:{event.id}", "refills", argument=refill)
        workflow_id = f"refill:{refill.device_id}"
        return Call("RefillWorkflow", workflow_id, "refills", signal="refill", signal_argument=refill, when_closed=late)


async def main() -> None:
    """Runs the bridge until SIGTERM."""
    address = os.environ.get("TEMPORAL", "localhost:7233")
    client = await Client.connect(address, data_converter=pydantic_data_converter, retry_config=SINGLE_ATTEMPT)
    config = BridgeConfig(group_id=f"{TOPIC}-bridge", dead_letter_topic=f"{TOPIC}.dead_letters")
    bridge = Bridge(config, Kafka(os.environ.get("KAFKA", "localhost:9092")), client, RefillMapping())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, bridge.stop)
    await bridge.run()


if __name__ == "__main__":
    asyncio.run(main())
