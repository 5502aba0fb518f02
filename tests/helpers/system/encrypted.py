"""A run whose input is encrypted, and that no worker takes up: what matters is how it is kept and shown."""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from orders.clients.payload_codec import AesGcmCodec
from orders.settings.codec_keys import parse_codec_keys
from workflows.converter import encrypting
from workflows.names import order_workflow_id


def new_keys() -> str:
    """A value for TEMPORAL_CODEC_KEYS."""
    return f"one:{base64.b64encode(secrets.token_bytes(32)).decode()}"


@dataclass(frozen=True, slots=True)
class EncryptedRun:
    """Where it is, and its input as Temporal keeps it."""

    namespace: str
    workflow_id: str
    run_id: str
    payload: Payload

    def page(self, ui_url: str) -> str:
        """Its page in Temporal's UI."""
        return f"{ui_url}/namespaces/{self.namespace}/workflows/{self.workflow_id}/{self.run_id}/history"


@asynccontextmanager
async def encrypted_run(
    temporal_host: str, namespace: str, keys: str, order_id: str, text: str
) -> AsyncIterator[EncryptedRun]:
    """Starts the run, and terminates it in the end.

    Args:
        temporal_host: Temporal's frontend.
        namespace: where.
        keys: of TEMPORAL_CODEC_KEYS.
        order_id: whose workflow id it has.
        text: its input.
    """
    converter = encrypting(AesGcmCodec(parse_codec_keys(keys)))
    client = await Client.connect(temporal_host, namespace=namespace, data_converter=converter)
    workflow_id = order_workflow_id(order_id)
    run = await client.start_workflow("NobodyRunsThis", text, id=workflow_id, task_queue=f"none-{workflow_id}")
    first = (await run.fetch_history()).events[0]
    kept = first.workflow_execution_started_event_attributes.input.payloads[0]
    yield EncryptedRun(namespace, workflow_id, run.first_execution_run_id or "", kept)
    await run.terminate()
