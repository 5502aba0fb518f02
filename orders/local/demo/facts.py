"""What was expected of a scenario and what happened, told by facts of the same kind, so that they compare."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.adapters.postgres.reader import OrderReader
from activities.ports import DatabaseUnavailableError
from orders.local.demo.scenarios import Scenario
from orders.local.demo.watch import Watch
from schemas.order import Address
from schemas.workflow_io import OrderResult
from workflows.names import order_workflow_id, shipping_workflow_id

_ATTEMPTS_MAX = 10
_LISTED_WITHIN_SECONDS = 5.0
"""Temporal's list of runs lags behind the runs themselves."""
_LISTED_AGAIN_SECONDS = 0.2


ORDERLY: Final = {"runs": "1 COMPLETED", "sequence": "gapless", "audit": "equal"}
"""What is expected of every order; the table leaves it out where it is so."""


@dataclass(frozen=True, slots=True)
class Facts:
    """How a scenario came out: as it is expected, or as it was seen."""

    events: tuple[str, ...] = ()
    further: dict[str, str] = field(default_factory=dict)
    """Further facts, each by what it is about."""

    @property
    def phrase(self) -> str:
        """The facts in a few words, for the table."""
        first = [f"{self.events[-1]} after {len(self.events)} events"] if self.events else []
        told = [f"{about} {fact}" for about, fact in self.further.items() if ORDERLY.get(about) != fact]
        return ", ".join([*first, *told]) or "nothing"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A scenario's expectation beside what happened."""

    scenario: Scenario
    order_id: str
    expected: Facts
    happened: Facts
    waits_for: tuple[str, ...] = ()
    """What an order waits for that has not come to its end, as Temporal has it."""

    @property
    def agrees(self) -> bool:
        """Whether what happened is what was expected."""
        return self.expected == self.happened

    @property
    def differences(self) -> list[str]:
        """A line for each fact that differs, and for what the order waits for."""
        lines = []
        if self.expected.events != self.happened.events:
            lines.append(f"events: expected {_arrows(self.expected.events)}; happened {_arrows(self.happened.events)}")
        for about in self.expected.further:
            wanted, got = self.expected.further[about], self.happened.further.get(about, "not known")
            if wanted != got:
                lines.append(f"{about}: expected {wanted}; happened {got}")
        return [*lines, *(f"waits for {one}" for one in self.waits_for)]


def expected_facts(scenario: Scenario) -> Facts:
    """The facts that a scenario expects."""
    if scenario.dead_letter is not None:
        return Facts(further={"dead letter": scenario.dead_letter, "bytes": "as sent"})
    further = {**ORDERLY, "payment": scenario.payment.value if scenario.payment else "none"}
    if scenario.address is not None:
        further["address"] = scenario.address
    if scenario.shipping_attempts is not None:
        further["shipping attempts"] = str(scenario.shipping_attempts)
    return Facts(scenario.events, further)


async def observed_facts(scenario: Scenario, order_id: str, watch: Watch, client: Client, reader: OrderReader) -> Facts:
    """The facts as Kafka, Temporal and Postgres have them; what is missing becomes a fact, and never an error."""
    if scenario.dead_letter is not None:
        return _dead_letter_facts(scenario, watch)
    events = watch.events_of(order_id)
    sequences = [sequence for sequence, _, _ in events]
    further = {
        "runs": await _runs(client, order_id),
        "sequence": "gapless" if sequences == list(range(1, len(events) + 1)) else f"numbers {sequences}",
        "audit": await _audit(reader, order_id, [payload for _, _, payload in events]),
        "payment": await _payment(reader, scenario, order_id),
    }
    if scenario.address is not None:
        further["address"] = await _address(client, order_id)
    if scenario.shipping_attempts is not None:
        further["shipping attempts"] = await _shipping_attempts(client, order_id)
    return Facts(tuple(watch.tokens_of(order_id)), further)


def _dead_letter_facts(scenario: Scenario, watch: Watch) -> Facts:
    found = watch.dead_letter_of(scenario.steps[0].raw or b"")
    if found is None:
        return Facts(further={"dead letter": "none"})
    return Facts(further={"dead letter": found.header("dlq_error_code") or "without a code", "bytes": "as sent"})


async def _runs(client: Client, order_id: str) -> str:
    """Every run that the order ever had: more than one would be an order that ran twice."""
    query = f'WorkflowId = "{order_workflow_id(order_id)}"'
    found: list[WorkflowExecutionStatus | None] | None = None
    try:
        async with asyncio.timeout(_LISTED_WITHIN_SECONDS):
            while not found or any(status is WorkflowExecutionStatus.RUNNING for status in found):
                found = [run.status async for run in client.list_workflows(query)]
                await asyncio.sleep(_LISTED_AGAIN_SECONDS)
    except RPCError as error:
        return _unknown(error)
    except TimeoutError:
        if found is None:
            return "not known: Temporal does not answer"
    names = sorted({status.name if status else "UNKNOWN" for status in found})
    return f"{len(found)} {' '.join(names)}".strip()


def _unknown(error: RPCError) -> str:
    return f"not known: Temporal does not answer ({error.status.name})"


async def _audit(reader: OrderReader, order_id: str, payloads: Sequence[bytes]) -> str:
    try:
        rows = await reader.events(order_id)
    except DatabaseUnavailableError as error:
        return str(error)
    if [row.payload_json.encode() for row in rows] == list(payloads):
        return "equal"
    return f"{len(rows)} rows against {len(payloads)} published"


async def _payment(reader: OrderReader, scenario: Scenario, order_id: str) -> str:
    payment_id = next((step.fields["payment_id"] for step in scenario.steps if "payment_id" in step.fields), "")
    try:
        claim = await reader.payment(str(payment_id))
    except DatabaseUnavailableError as error:
        return str(error)
    if claim is None:
        return "none"
    return claim.status.value if claim.order_id == order_id else f"of order {claim.order_id}"


async def _address(client: Client, order_id: str) -> str:
    try:
        async with asyncio.timeout(_LISTED_WITHIN_SECONDS):
            result = await client.get_workflow_handle(order_workflow_id(order_id), result_type=OrderResult).result()
    except (RPCError, TimeoutError):
        return "no result"
    return _address_line(result.address)


def _address_line(address: Address | None) -> str:
    return ", ".join(str(part) for part in address.model_dump(exclude_none=True).values()) if address else "none"


async def _shipping_attempts(client: Client, order_id: str) -> str:
    """How many attempts have a workflow of their own in Temporal."""
    for attempt in range(1, _ATTEMPTS_MAX):
        try:
            await client.get_workflow_handle(shipping_workflow_id(order_id, attempt)).describe()
        except RPCError as error:
            return str(attempt - 1) if error.status is RPCStatusCode.NOT_FOUND else _unknown(error)
    return str(_ATTEMPTS_MAX)


def _arrows(events: Sequence[str]) -> str:
    return " → ".join(events) or "none"
