"""How many actions a run is in Temporal Cloud's price list. Pure.

By its documentation ("Temporal Cloud Actions", read 2026-11-26); what leaves no trace in a history, as heartbeats and
queries do, is not counted.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

_ONE_EACH: Final = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "activities",
    EventType.EVENT_TYPE_TIMER_STARTED: "timers",
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: "search attributes",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: "signals",
}


def actions_of(history: Iterable[HistoryEvent]) -> Counter[str]:
    """The actions of one run, by what they are for.

    A start with a signal is one action, as is all that is recorded within one workflow task. A child is two, at its
    parent, and its own start none.
    """
    found: Counter[str] = Counter()
    tasks_with_markers = set()
    for event in history:
        kind = event.event_type
        if kind in _ONE_EACH:
            found[_ONE_EACH[kind]] += 1
        elif kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            if not event.workflow_execution_started_event_attributes.HasField("parent_workflow_execution"):
                found["starts"] += 1
        elif kind == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
            found["child workflows"] += 2
        elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            found["activities tried again"] += event.activity_task_started_event_attributes.attempt - 1
        elif kind == EventType.EVENT_TYPE_MARKER_RECORDED:
            tasks_with_markers.add(event.marker_recorded_event_attributes.workflow_task_completed_event_id)
        if event.event_id == 2 and kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:  # noqa: PLR2004 - the second
            found["starts"] -= 1  # It came with the start.
    found["records within workflow tasks"] = len(tasks_with_markers)
    return +found
