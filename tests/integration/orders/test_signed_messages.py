"""Signed decisions on real Kafka and Temporal: a running bridge takes those of its keys, and sets all others aside."""

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge import Header
from orders.signatures.keys import NamedKey
from orders.signatures.signature import SIGNATURE_HEADER
from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing, StoredRecord
from tests.helpers.messages.signing import signature_header, signing_key, write_key_set, write_private
from tests.helpers.system.command_line import run_in_process
from tests.helpers.system.system import OrderSystem, order_system

CREATED, APPROVED, CANCELLED = EventType.ORDER_CREATED, EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED
ADDRESS = EventType.ORDER_ADDRESS_UPDATED
DESK, SHOP = signing_key("desk"), signing_key("shop", "ES256")
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("keys") / "keys.json"
    write_key_set(place, DESK, SHOP)
    return place


@pytest.fixture(scope="module")
async def system(
    endpoints: Endpoints, keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OrderSystem]:
    async with order_system(
        endpoints,
        tmp_path_factory.mktemp("signed"),
        ORDER_APPROVAL_TIMEOUT_SECONDS="600",
        ORDER_SIGNATURE_KEYS=str(keys),
        ORDER_SIGNATURES_REQUIRED="order.approved,order.cancelled,order.address_updated",
        ORDER_SIGNATURE_RIGHTS="desk:order.approved,desk:order.cancelled,new:order.approved,late:order.approved,"
        "shop:order.address_updated",
    ) as running:
        yield running


@pytest.fixture
async def order_id(system: OrderSystem) -> str:
    """An order that waits for its approval."""
    one = f"signed-{secrets.token_hex(6)}"
    await system.produce(
        [Outgoing(system.topic_of(CREATED), json.dumps({"order_id": one, "payment_id": one}).encode())]
    )
    await system.wait_until_states(one, "RECEIVED", "VALIDATED", within_seconds=PATIENCE_SECONDS)
    return one


def approval(order_id: str) -> bytes:
    return json.dumps({"order_id": order_id, "approved_by": "ada"}).encode()


async def send(
    system: OrderSystem, event_type: EventType, value: bytes, headers: tuple[Header, ...] = ()
) -> StoredRecord | None:
    """Produces a record, waits until the bridge has settled it, and returns the dead letter that it became."""
    ((topic, partition, offset),) = await system.produce(
        [Outgoing(system.topic_of(event_type), value, headers=headers)]
    )

    async def settled() -> bool:
        return any(
            one.topic == topic and one.partition == partition and (one.committed or 0) > offset
            for one in await system.offsets()
        )

    await system.wait_until(settled, PATIENCE_SECONDS, lambda: f"{topic}:{partition}:{offset} settled")
    place = {"dlq_source_topic": topic, "dlq_source_partition": str(partition), "dlq_source_offset": str(offset)}
    found = [
        one for one in await system.dead_letters() if all(one.header(name) == value for name, value in place.items())
    ]
    assert len(found) <= 1
    return found[0] if found else None


async def causes(system: OrderSystem, order_id: str) -> list[tuple[str, str | None, str | None]]:
    """The type, decider and voucher of each cause among the order's events."""
    bodies: list[dict[str, Any]] = [json.loads(one.value or b"{}") for one in await system.published()]
    found = [one["cause"] for one in bodies if one["order_id"] == order_id and one["cause"]]
    return [(one["type"], one["by"], one["verified_by"]) for one in found]


async def await_cause(system: OrderSystem, order_id: str, *wanted: str | None) -> None:
    async def there() -> bool:
        return wanted in await causes(system, order_id)

    await system.wait_until(there, PATIENCE_SECONDS, lambda: f"{wanted} among the causes of {order_id}")


async def test_a_signed_approval_applies_and_the_journal_says_who_vouches_for_it(
    system: OrderSystem, order_id: str, tmp_path: Path
) -> None:
    private = write_private(tmp_path / "desk.pem", DESK)
    arguments = ["produce", "approved", order_id, "--approved-by", "ada", "--sign-with", str(private)]
    ended = await run_in_process(arguments, system.settings)
    assert ended.returncode == 0, ended.stderr
    assert ", signed" in ended.stdout
    await await_cause(system, order_id, "order.approved", "ada", "signature:desk")
    assert (await causes(system, order_id))[0] == ("order.created", None, None)
    shown = await run_in_process(["events", order_id], system.settings)
    assert "← order.approved by ada, signed with desk" in shown.stdout
    explained = await run_in_process(["explain", order_id], system.settings)
    assert "signed with desk" in explained.stdout


async def test_every_signed_decision_is_recorded_with_its_key_also_where_it_names_nobody(
    system: OrderSystem, order_id: str
) -> None:
    moved = json.dumps({"order_id": order_id, "address": {"city": "Bern"}}).encode()
    assert await send(system, ADDRESS, moved, signature_header(SHOP, moved, ADDRESS, order_id)) is None
    await await_cause(system, order_id, "order.address_updated", "shop", "signature:shop")
    value = json.dumps({"order_id": order_id}).encode()
    assert await send(system, CANCELLED, value, signature_header(DESK, value, CANCELLED, order_id)) is None
    await await_cause(system, order_id, "order.cancelled", "desk", "signature:desk")


async def test_what_is_not_signed_as_it_must_be_is_set_aside_and_the_order_goes_on_waiting(
    system: OrderSystem, order_id: str
) -> None:
    value, another = approval(order_id), f"{order_id}-2"
    stranger = signing_key("desk")
    for headers, code in (
        ((), "signature_missing"),
        (((SIGNATURE_HEADER, b"e30.e30."),), "signature_malformed"),
        (signature_header(stranger, value, APPROVED, order_id), "signature_wrong"),
        (signature_header(signing_key("nobody"), value, APPROVED, order_id), "signature_key_unknown"),
        (signature_header(SHOP, value, APPROVED, order_id), "signature_key_not_allowed"),
        (signature_header(DESK, approval(another), APPROVED, another), "signature_of_another_event"),
        (signature_header(DESK, value, CANCELLED, order_id), "signature_of_another_event"),
        (signature_header(DESK, value, APPROVED, order_id, exp=1_700_000_000), "signature_out_of_time"),
    ):
        letter = await send(system, APPROVED, value, headers)
        assert letter is not None, code
        assert (letter.header("dlq_error_code"), letter.header("dlq_stage")) == (code, "envelope")
        assert order_id not in (letter.header("dlq_message") or "")
    assert [kind for kind, _, _ in await causes(system, order_id)] == ["order.created"]
    assert await send(system, APPROVED, value, signature_header(DESK, value, APPROVED, order_id)) is None
    await await_cause(system, order_id, "order.approved", "ada", "signature:desk")


async def test_a_copy_of_a_signed_record_is_the_same_event_and_changes_nothing(
    system: OrderSystem, order_id: str
) -> None:
    value = json.dumps({"order_id": order_id, "address": {"city": "Bern"}}).encode()
    headers = signature_header(SHOP, value, ADDRESS, order_id)
    for _ in range(2):
        assert await send(system, ADDRESS, value, headers) is None
    await await_cause(system, order_id, "order.address_updated", "shop", "signature:shop")
    approved = approval(order_id)
    assert await send(system, APPROVED, approved, signature_header(DESK, approved, APPROVED, order_id)) is None
    await await_cause(system, order_id, "order.approved", "ada", "signature:desk")
    kinds = [kind for kind, _, _ in await causes(system, order_id)]
    assert kinds.count("order.address_updated") == 1, "neither applied again nor refused"


async def test_a_new_key_counts_without_a_restart_and_the_former_one_no_more(
    system: OrderSystem, keys: Path, order_id: str
) -> None:
    new, value = signing_key("new"), approval(order_id)
    write_key_set(keys, SHOP, new)
    try:
        assert await send(system, APPROVED, value, signature_header(new, value, APPROVED, order_id)) is None
        await await_cause(system, order_id, "order.approved", "ada", "signature:new")
        letter = await send(system, APPROVED, value, signature_header(DESK, value, APPROVED, order_id))
        assert letter is not None
        assert letter.header("dlq_error_code") == "signature_key_unknown"
    finally:
        write_key_set(keys, DESK, SHOP)
    assert [one.exit_status for one in system.processes] == [None] * len(system.processes)


async def test_a_dead_letter_is_replayed_with_its_signature_once_its_key_is_there(
    system: OrderSystem, keys: Path, order_id: str
) -> None:
    late: NamedKey = signing_key("late")
    value = approval(order_id)
    letter = await send(system, APPROVED, value, signature_header(late, value, APPROVED, order_id))
    assert letter is not None
    assert letter.header("dlq_error_code") == "signature_key_unknown"
    write_key_set(keys, DESK, SHOP, late)
    try:
        at = f"{letter.partition}:{letter.offset}"
        ended = await run_in_process(["dlq", "replay", at, "--json"], system.settings)
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["replayed"] == 1
        await await_cause(system, order_id, "order.approved", "ada", "signature:late")
    finally:
        write_key_set(keys, DESK, SHOP)


async def test_what_the_command_line_hands_to_temporal_needs_no_signature_and_says_that_nobody_checked(
    system: OrderSystem, order_id: str
) -> None:
    ended = await run_in_process(["approve", order_id, "--approved-by", "ada", "--wait", "60"], system.settings)
    assert ended.returncode == 0, ended.stderr
    await await_cause(system, order_id, "order.approved", "ada", None)
    shown = await run_in_process(["events", order_id], system.settings)
    assert "← order.approved by ada, unverified" in shown.stdout
