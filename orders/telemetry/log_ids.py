"""What a line of the log belongs to, where it can be known: its order, and its trace."""

import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from workflows.names import order_id_of

_OF_THE_SDK: Final = ("temporal_activity", "temporal_workflow")
"""What the SDK's loggers add of an activity or a workflow."""
_API: Final = "opentelemetry.trace"


def add_order_id(_: object, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Adds `order_id` where the line names a workflow of an order, or is one of an activity or workflow."""
    if "order_id" in fields:
        return fields
    workflow_id = fields.get("workflow_id")
    for name in _OF_THE_SDK:
        about = fields.get(name)
        if isinstance(about, Mapping):
            workflow_id = workflow_id or about.get("workflow_id")
    order_id = order_id_of(workflow_id) if isinstance(workflow_id, str) else None
    if order_id is not None:
        fields["order_id"] = order_id
    return fields


def add_trace(_: object, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Adds `trace_id` and `span_id` where the line is said within a traced record, activity or request."""
    api = sys.modules.get(_API)
    if api is None or "trace_id" in fields:
        return fields  # Nothing traces, or what traces a workflow has said so already.
    context = api.get_current_span().get_span_context()
    if context.is_valid and context.trace_flags.sampled:
        fields["trace_id"], fields["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return fields
