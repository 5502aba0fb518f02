"""The ways to sign an approval that docs/security.md shows, run as they stand there: a running bridge takes each."""

import asyncio
import json
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas.event_types import EventType
from stack.endpoints import Endpoints
from tests.helpers.messages.kafka_io import Outgoing
from tests.helpers.node_packages import NODE, installed
from tests.helpers.system.processes import clean_environment
from tests.helpers.system.system import OrderSystem, order_system
from tests.helpers.system.waiting import patient_seconds

ROOT = Path(__file__).parents[3]
JOSE = ROOT / "tests" / "helpers" / "messages" / "jose_signer"
BLOCKS = dict(
    re.findall(
        r"^```(sh|python|js)\n(.*?)^```$",
        (ROOT / "docs" / "security.md").read_text().partition("### Signing")[2].partition("\n### ")[0],
        re.MULTILINE | re.DOTALL,
    )
)
"""The recipes, by their language."""
BY_HAND = BLOCKS["sh"].splitlines()
PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Room:
    """A system whose approvals must be signed, and the folder in which the recipes' key was made."""

    system: OrderSystem
    folder: Path


def typed(line: str, folder: Path, settings: dict[str, str]) -> str:
    """What a line of the page's says, typed in a folder."""
    environment = clean_environment(settings)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return ran(["/bin/sh", "-euc", line], folder, environment)


def ran(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What a program says that ends well."""
    seconds = patient_seconds(120)
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
async def room(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    folder = tmp_path_factory.mktemp("desk")
    (folder / "keys").mkdir()
    for line in BY_HAND[:-1]:
        await asyncio.to_thread(typed, line, folder, {})
    async with order_system(
        endpoints,
        tmp_path_factory.mktemp("recipes"),
        ORDER_APPROVAL_TIMEOUT_SECONDS="600",
        ORDER_SIGNATURE_KEYS=str(folder / "keys"),
        ORDER_SIGNATURES_REQUIRED="order.approved",
    ) as running:
        yield Room(running, folder)


async def typed_by_hand(room: Room, order_id: str) -> None:
    line = BY_HAND[-1].replace(" o-1 ", f" {order_id} ")
    assert line != BY_HAND[-1]
    said = await asyncio.to_thread(typed, line, room.folder, room.system.settings)
    assert ", signed" in said


async def sent_with_pyjwt(room: Room, order_id: str) -> None:
    recipe: dict[str, Any] = {}
    # As in a program that runs where the key is.
    code = BLOCKS["python"].replace('Path("desk.pem")', f"Path({str(room.folder / 'desk.pem')!r})")
    assert code != BLOCKS["python"]
    exec(compile(code, "docs/security.md", "exec"), recipe)  # noqa: S102 -- our own page
    async with AIOKafkaProducer(bootstrap_servers=room.system.endpoints.kafka_bootstrap_servers) as producer:
        await recipe["approve"](producer, order_id, topic=room.system.topic_of(EventType.ORDER_APPROVED))


async def sent_with_jose(room: Room, order_id: str) -> None:
    packages = await asyncio.to_thread(installed, JOSE)
    (room.folder / "node_modules").symlink_to(packages / "node_modules")
    (room.folder / "recipe.mjs").write_text(BLOCKS["js"])
    (room.folder / "run.mjs").write_text(
        'import {approval} from "./recipe.mjs"\nconsole.log(JSON.stringify(await approval(process.argv[2])))\n'
    )
    said = await asyncio.to_thread(ran, [str(NODE), "run.mjs", order_id], room.folder, clean_environment({}))
    message = json.loads(said)
    headers = tuple((name, value.encode()) for name, value in message["headers"].items())
    topic = room.system.topic_of(EventType.ORDER_APPROVED)
    await room.system.produce([Outgoing(topic, message["value"].encode(), message["key"].encode(), headers)])


@pytest.mark.parametrize("send", [typed_by_hand, sent_with_pyjwt, sent_with_jose])
async def test_what_the_page_says_signs_an_approval_that_counts(
    room: Room, send: Callable[[Room, str], Awaitable[None]]
) -> None:
    system, order_id = room.system, f"recipe-{secrets.token_hex(6)}"
    created = json.dumps({"order_id": order_id, "payment_id": order_id}).encode()
    await system.produce([Outgoing(system.topic_of(EventType.ORDER_CREATED), created)])
    await system.wait_until_states(order_id, "RECEIVED", "VALIDATED", within_seconds=PATIENCE_SECONDS)
    await send(room, order_id)

    async def causes() -> list[dict[str, Any]]:
        bodies = [json.loads(one.value or b"{}") for one in await system.published()]
        return [one["cause"] for one in bodies if one["order_id"] == order_id and one["cause"]]

    async def approved() -> bool:
        return any(
            (one["type"], one["by"], one["verified_by"]) == ("order.approved", "ada", "signature:desk")
            for one in await causes()
        )

    await system.wait_until(approved, PATIENCE_SECONDS, lambda: f"an approval of {order_id} by its signature")
    assert not any(letter.header("dlq_source_topic") for letter in await system.dead_letters())
