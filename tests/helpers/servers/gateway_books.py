"""The books of the provider that `tests.helpers.servers.gateway_server` plays: every change is a line of one file.

Nothing that a process of ours knows is in them, so they judge what happened (I6): what the customer's bank saw, and
what the carrier took. A line is written at once, so a provider that is killed has either done something or not.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.helpers.checker.evidence import LedgerEntry, ShipmentRow

Answer = tuple[int, dict[str, Any]]

JOURNAL = "journal.jsonl"


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Every change, oldest first; a line that a kill cut off has not happened."""
    path = folder / JOURNAL
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def ledger_of(folder: Path) -> tuple[LedgerEntry, ...]:
    """Every movement of money, oldest first."""
    return tuple(
        LedgerEntry(change["payment"]["payment_id"], change["moved"], *_money_of(change["payment"]))
        for change in read_journal(folder)
        if "moved" in change
    )


def shipments_of(folder: Path) -> tuple[ShipmentRow, ...]:
    """What the carrier has of each order."""
    latest = {change["order_id"]: change["shipment"] for change in read_journal(folder) if "shipment" in change}
    return tuple(ShipmentRow(order, one.get("tracking_id"), one["address"]) for order, one in latest.items())


def _money_of(payment: dict[str, Any]) -> tuple[int, str]:
    return payment["amount"], payment["currency"]


@dataclass
class Books:
    """What the provider knows; a restarted one reads it back."""

    folder: Path
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    shipments: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def opened(cls, folder: Path) -> "Books":
        books = cls(folder)
        for change in read_journal(folder):
            if "payment" in change:
                books.payments[change["payment"]["payment_id"]] = change["payment"]
            else:
                books.shipments[change["order_id"]] = change["shipment"]
        return books

    def _write(self, change: dict[str, Any]) -> None:
        with (self.folder / JOURNAL).open("a") as journal:
            journal.write(json.dumps(change) + "\n")

    def _keep_payment(self, payment: dict[str, Any], moved: str | None = None) -> dict[str, Any]:
        self._write({"payment": payment} | ({"moved": moved} if moved else {}))
        self.payments[payment["payment_id"]] = payment
        return payment

    def _keep_shipment(self, order_id: str, shipment: dict[str, Any]) -> dict[str, Any]:
        self._write({"order_id": order_id, "shipment": shipment})
        self.shipments[order_id] = shipment
        return shipment

    def charge(self, body: dict[str, Any]) -> Answer:
        payment = self.payments.get(body["payment_id"])
        if payment is None:
            payment = {name: body[name] for name in ("payment_id", "amount", "currency")}
            if body["payment_id"].startswith("decline-"):
                self._keep_payment(payment | {"status": "declined", "reason": "insufficient_funds"})
            else:
                self._keep_payment(payment | {"status": "charged"}, "charge")
            payment = self.payments[body["payment_id"]]
        return (402 if payment["status"] == "declined" else 201), payment

    def refund(self, payment_id: str) -> Answer:
        unknown = {"payment_id": payment_id, "status": "unknown", "amount": 0, "currency": "XXX"}
        payment = self.payments.get(payment_id, unknown)
        if payment["status"] == "charged":
            payment = self._keep_payment(payment | {"status": "refunded"}, "refund")
        elif payment["status"] in ("declined", "unknown"):
            payment = self._keep_payment(payment | {"status": "voided"})
        return 200, payment

    def prepare(self, order_id: str, body: dict[str, Any]) -> Answer:
        shipment = self.shipments.get(order_id)
        if shipment is None:
            shipment = self._keep_shipment(order_id, {"package_id": f"pk-{order_id}", "address": body["address"]})
        return 201, {"package_id": shipment["package_id"]}

    def dispatch(self, order_id: str, body: dict[str, Any]) -> Answer:
        self.prepare(order_id, body)
        shipment, zip_code = self.shipments[order_id], body["address"].get("zip_code")
        if "tracking_id" not in shipment:
            if zip_code == "FAIL0" or (zip_code == "FLAKY" and body["attempt"] < 3):
                return 422, {"reason": "no_such_place"}
            new = shipment | {"tracking_id": f"tr-{order_id}", "address": body["address"]}
            shipment = self._keep_shipment(order_id, new)
        return 200, {"tracking_id": shipment["tracking_id"]}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        """What a request leads to, by docs/gateways.md."""
        match [method, *map(unquote, path.strip("/").split("/"))]:
            case ["POST", "payments"]:
                return self.charge(body)
            case ["POST", "payments", payment_id, "refund"]:
                return self.refund(payment_id)
            case ["GET", "payments", payment_id] if payment_id in self.payments:
                return 200, self.payments[payment_id]
            case ["POST", "shipments"]:
                return self.prepare(body["order_id"], body)
            case ["POST", "shipments", order_id, "dispatch"]:
                return self.dispatch(order_id, body)
        return 404, {}
