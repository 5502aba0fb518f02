"""A client that openapi-python-client makes of the published document takes an order from start to end."""

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.helpers.system.api_room import ApiRoom, new_order_id

PUBLISHED = Path(__file__).parents[4] / "docs" / "contract" / "openapi.json"
PACKAGE = "generated_orders_client"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The generated package, importable."""
    folder = tmp_path_factory.mktemp("client")
    config = folder / "config.yaml"
    config.write_text(f"project_name_override: orders-client\npackage_name_override: {PACKAGE}\npost_hooks: []\n")
    ran = subprocess.run(
        [
            Path(sys.executable).parent / "openapi-python-client",
            "generate",
            *("--path", PUBLISHED),
            *("--config", config),
            *("--output-path", folder / "made"),
            "--fail-on-warning",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    sys.path.insert(0, str(folder / "made"))
    yield folder / "made" / PACKAGE
    sys.path.remove(str(folder / "made"))


def part(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.mark.usefixtures("client")
async def test_it_takes_an_order_from_start_to_end(api: ApiRoom) -> None:
    models = part("models")
    order_id = new_order_id()

    def run() -> None:
        with part("client").Client(base_url=str(api.http.base_url)) as http:
            body = models.OrderStart(payment_id=f"p-{order_id}", customer_id="c-1")
            started = part("api.decisions.start_order").sync_detailed(
                order_id, client=http, body=body, prefer="wait=30"
            )
            assert started.status_code == 201
            assert isinstance(started.parsed, models.DecisionAnswer)
            status = part("api.orders.get_order_status").sync(order_id, client=http)
            assert isinstance(status, models.OrderStatus)
            address = models.AddressFields(street="2 Example Street", city="Utrecht")
            moved = part("api.decisions.update_address").sync_detailed(
                order_id, client=http, body=address, prefer="wait=30"
            )
            assert moved.status_code == 200
            approval = models.OrderApproval(note="looks right")
            approved = part("api.decisions.approve_order").sync_detailed(
                order_id, client=http, body=approval, prefer="wait=30"
            )
            assert approved.status_code == 200
            over = part("api.orders.get_order_result").sync(order_id, client=http)
            assert (over.state, over.address.city) == ("COMPLETED", "Utrecht")
            refused = part("api.decisions.cancel_order").sync_detailed(
                order_id, client=http, body=models.OrderCancellation(), prefer="wait=30"
            )
            assert (refused.status_code, refused.parsed.code) == (409, "order_closed")

    await asyncio.to_thread(run)
