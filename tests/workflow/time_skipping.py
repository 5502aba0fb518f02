"""Starts the server on which hours pass in milliseconds while a result is awaited."""

from pathlib import Path
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from workflows.converter import DATA_CONVERTER
from workflows.search_attributes import SEARCH_ATTRIBUTES

START_ATTEMPTS_MAX: Final = 12
"""The SDK gives the server 5 s to start, which a Java process on a busy machine may not make (seen at a load of 13)."""


async def start(launcher: Path) -> WorkflowEnvironment:
    """A server of its own, and a client of it.

    Raises:
        RuntimeError: it did not start in `START_ATTEMPTS_MAX` times 5 s.
    """
    failure = None
    for _ in range(START_ATTEMPTS_MAX):
        try:
            environment = await WorkflowEnvironment.start_time_skipping(
                test_server_existing_path=str(launcher), data_converter=DATA_CONVERTER
            )
        except RuntimeError as error:
            failure = error
        else:
            await _register_search_attributes(environment)
            return environment
    raise RuntimeError("the time-skipping server did not start") from failure


async def _register_search_attributes(environment: WorkflowEnvironment) -> None:
    """As `orders migrate` does on a server that can also search, which this one cannot."""
    request = AddSearchAttributesRequest(
        namespace=environment.client.namespace,
        search_attributes={key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES},
    )
    await environment.client.operator_service.add_search_attributes(request)
