"""An explanation as a JSON document."""

import json
from dataclasses import asdict
from typing import Any

from orders.hints import as_typed
from orders.operations.dead_letters.documents import summary_json
from orders.operations.explain.database_side import DatabaseSide
from orders.operations.explain.gathering import Explanation


def as_json(known: Explanation) -> dict[str, Any]:
    """The whole explanation; a server that could not be reached is null."""
    kafka, temporal, database = known.kafka, known.temporal, known.database
    return {
        "order_id": known.order_id,
        "unreachable": [as_typed(sentence) for sentence in known.unreachable],
        "waits_for": [as_typed(sentence) for sentence in known.waits_for],
        "kafka": kafka
        and {
            "records": [asdict(one) | {"outcome": known.outcome_of(one)} for one in kafka.records],
            "held_by_transactions": [asdict(one) for one in kafka.held],
            "dead_letters": [summary_json(one) for one in kafka.letters],
            "scanned": kafka.scanned,
            "skipped": kafka.skipped,
            "cut": kafka.cut,
        },
        "temporal": temporal
        and {
            "runs": [asdict(run) for run in temporal.runs],
            "runs_cut": temporal.runs_cut,
            "status": temporal.status and temporal.status.model_dump(mode="json"),
            "result": temporal.result and temporal.result.model_dump(mode="json"),
            "failure": temporal.failure,
            "in_the_way": temporal.in_the_way,
            "open_runs": [asdict(one) for one in temporal.open_runs],
            "pending_activities": [asdict(one) for one in temporal.pending],
        },
        "database": database and _database_json(database),
    }


def _database_json(database: DatabaseSide) -> dict[str, Any]:
    order = database.order
    return {
        "order": order
        and {
            "state": order.state.value,
            "reason": order.reason,
            "tracking_id": order.tracking_id,
            "approval_deadline": order.approval_deadline,
            "decided_by": order.decided_by,
            "details": order.details.model_dump(mode="json"),
            "created_at": order.created_at,
            "updated_at": order.updated_at,
            "archived_sequence": order.archived_sequence,
            "archived_in": list(order.archived_in),
            "forgotten_at": order.forgotten_at,
        },
        "journal": database.journal and asdict(database.journal),
        "payment": database.payment and asdict(database.payment),
        "events": [json.loads(event.payload_json) for event in database.events],
        "inbound_events": [one.model_dump(mode="json") for one in database.inbound],
        "cut": database.cut,
    }
