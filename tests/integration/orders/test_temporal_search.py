"""Search attributes on a real server: registered, refused, missing, and found by what the operators' page says."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import OperatorService, RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from bridge import Caller
from orders.errors import OrdersError, WrongSettingsError
from orders.installation.search_attributes import (
    ensure_search_attributes,
    register_search_attributes,
    require_search_attributes,
)
from orders.mapping import OrderMapping
from orders.processes.exit_status import ExitStatus
from orders.settings import Settings
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from stack.endpoints import Endpoints
from tests.helpers.servers.refusing_proxy import RefusingProxy
from tests.helpers.system.processes import run_to_end
from tests.helpers.system.system import make_namespace
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import Bench, running
from workflows.converter import DATA_CONVERTER
from workflows.names import ORDER_WORKFLOW, STATUS_QUERY, order_workflow_id
from workflows.search_attributes import SEARCH_ATTRIBUTES

DOCUMENT = (Path(__file__).parents[3] / "docs" / "operating.md").read_text()
QUERIES = re.findall(r"workflow list --query '(.*)'", DOCUMENT)
PATIENCE_SECONDS = 60.0
"""On a busy machine."""
KEYWORD, TEXT = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD, IndexedValueType.INDEXED_VALUE_TYPE_TEXT


@pytest.fixture
async def client(endpoints: Endpoints) -> Client:
    """A client of a namespace of this test alone, without any search attribute of ours."""
    made = await make_namespace(endpoints, f"search-{secrets.token_hex(4)}")
    return Client(made.service_client, namespace=made.namespace, data_converter=DATA_CONVERTER)


def settings_of(endpoints: Endpoints, client: Client, *, with_search: bool = True) -> Settings:
    return Settings(
        _env_file=None,
        temporal_host=endpoints.temporal_host,
        temporal_namespace=client.namespace,
        temporal_search_attributes=with_search,
    )


async def add(client: Client, **types: IndexedValueType.ValueType) -> None:
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=types)
    await client.operator_service.add_search_attributes(request)


async def test_what_is_missing_is_registered_once(endpoints: Endpoints, client: Client) -> None:
    settings = settings_of(endpoints, client)
    await add(client, OrderPaymentId=KEYWORD)
    first = await ensure_search_attributes(settings)
    assert {one.name: one.created for one in first} == {
        key.name: key.name != "OrderPaymentId" for key in SEARCH_ATTRIBUTES
    }
    assert {one.type for one in first} == {"Keyword", "Datetime"}
    again = await ensure_search_attributes(settings)
    assert [one.created for one in again] == [False] * len(SEARCH_ATTRIBUTES)
    await require_search_attributes(client)


async def test_several_may_register_at_once(endpoints: Endpoints, client: Client) -> None:
    settings = settings_of(endpoints, client)
    await asyncio.gather(*(ensure_search_attributes(settings) for _ in range(5)))
    await require_search_attributes(client)


async def test_an_attribute_of_another_type_is_somebody_elses(endpoints: Endpoints, client: Client) -> None:
    await add(client, OrderStep=TEXT)
    with pytest.raises(OrdersError, match=r"has a search attribute OrderStep that is not a Keyword"):
        await ensure_search_attributes(settings_of(endpoints, client))


async def test_a_namespace_without_room_is_said_to_be_full(endpoints: Endpoints, client: Client) -> None:
    """On SQL databases Temporal has ten Keywords for a namespace."""
    await add(client, **{f"Other{number}": KEYWORD for number in range(9)})
    with pytest.raises(OrdersError, match=r"more than 10 search attribute.*TEMPORAL_SEARCH_ATTRIBUTES=false"):
        await ensure_search_attributes(settings_of(endpoints, client))


class LowlyClient(Client):
    """A client whose calls on the operator service go to a door that refuses them, as Temporal Cloud's does."""

    door: Client

    @property
    def operator_service(self) -> OperatorService:
        return self.door.operator_service


@pytest.fixture(params=[RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED])
async def lowly(request: pytest.FixtureRequest, endpoints: Endpoints, client: Client) -> AsyncIterator[LowlyClient]:
    async with RefusingProxy(endpoints.temporal_host) as proxy:
        made = LowlyClient(client.service_client, namespace=client.namespace)
        made.door = await Client.connect(proxy.address)
        proxy.refusal = request.param
        await proxy.drop()

        async def refuses() -> bool:
            try:
                await made.operator_service.list_search_attributes(ListSearchAttributesRequest())
            except RPCError as error:
                return error.status is request.param
            return False

        await assert_eventually(refuses, message="the door refuses")  # The first call may meet the old connection.
        yield made


async def test_without_the_right_to_register_it_is_said_who_has_to_type_what(lowly: LowlyClient) -> None:
    with pytest.raises(OrdersError) as refused:
        await register_search_attributes(lowly)
    typed = re.search(r"temporal operator search-attribute create --namespace (\S+) (.*)` \(on", str(refused.value))
    assert typed is not None, refused.value
    assert typed[1] == lowly.namespace
    assert re.findall(r"--name (\S+) --type (\S+)", typed[2]) == [
        ("OrderStep", "Keyword"),
        ("OrderStepSince", "Datetime"),
        ("OrderCustomerId", "Keyword"),
        ("OrderPaymentId", "Keyword"),
    ]


async def test_without_the_right_to_register_those_of_somebody_else_will_do(client: Client, lowly: LowlyClient) -> None:
    await register_search_attributes(client)
    assert [one.created for one in await register_search_attributes(lowly)] == [False] * len(SEARCH_ATTRIBUTES)


async def test_without_search_nothing_is_registered_and_nothing_missed(endpoints: Endpoints, client: Client) -> None:
    settings = settings_of(endpoints, client, with_search=False)
    assert await ensure_search_attributes(settings) == ()
    with pytest.raises(WrongSettingsError, match="lacks the search attributes OrderStep, "):
        await require_search_attributes(client)


async def test_a_worker_ends_with_a_sentence_where_they_are_missing(
    endpoints: Endpoints, client: Client, tmp_path: Path
) -> None:
    settings = {**endpoints.as_environment(), "TEMPORAL_NAMESPACE": client.namespace}
    ended = await run_to_end(["worker"], settings, tmp_path)
    assert ended.returncode == ExitStatus.USAGE, ended.stderr
    assert re.search(r"run `\S*orders migrate`", ended.stderr)
    assert "Traceback" not in ended.stderr


async def test_an_order_that_waits_is_found_by_what_the_operators_page_says(client: Client) -> None:
    order_id = f"o-{secrets.token_hex(6)}"
    began = datetime.now(UTC)
    body = {"order_id": order_id, "payment_id": "p-1001", "customer_id": "c-42", "amount": 100}
    event = InboundEvent(event_id="e-1", type=EventType.ORDER_CREATED.value, body=body)
    async with running(Bench(WorkflowEnvironment.from_client(client))) as bench:
        bench.new_policy(approval_timeout=timedelta(minutes=5))
        mapping = OrderMapping({}, bench.policy, task_queue=bench.order_queue)
        await Caller(client).make(mapping.call_for(order_id, EventType.ORDER_CREATED, event))
        assert len(QUERIES) == 3
        soon = datetime.now(UTC) + timedelta(minutes=1)
        for query in QUERIES:
            await assert_eventually(finds_in_time(client, query, soon, order_id), PATIENCE_SECONDS, query)
        assert not await finds(client, QUERIES[0], began, order_id), "it does not wait since before it was sent"
        description = await client.get_workflow_handle(order_workflow_id(order_id)).describe()
        assert await description.static_summary() == f"order {order_id}"
        details = await description.static_details() or ""
        assert "Begun by `order.created`" in details
        assert "0:05:00 for approval" in details
        status = await client.get_workflow_handle(order_workflow_id(order_id)).query(STATUS_QUERY)
        assert description.typed_search_attributes[SEARCH_ATTRIBUTES[0]] == status["step"]
        await client.get_workflow_handle(order_workflow_id(order_id)).terminate()

        async def is_left_out() -> bool:
            return not await finds(client, QUERIES[0], soon, order_id)

        await assert_eventually(is_left_out, PATIENCE_SECONDS)


def finds_in_time(client: Client, query: str, moment: datetime, order_id: str) -> Callable[[], Awaitable[bool]]:
    return lambda: finds(client, query, moment, order_id)


async def finds(client: Client, query: str, moment: datetime, order_id: str) -> bool:
    """Whether the query finds the order, with this moment in the place of the page's."""
    asked = query.replace("2026-01-31T12:00:00Z", f"{moment:%Y-%m-%dT%H:%M:%SZ}")
    found = [run async for run in client.list_workflows(asked)]
    assert {run.workflow_type for run in found} <= {ORDER_WORKFLOW}
    return order_workflow_id(order_id) in {run.id for run in found}
