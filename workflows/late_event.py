"""Answers an event of an order whose life is over, and whose run is gone or closed."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderActivities
    from schemas.activity_io import AnswerLateEvents, LateAnswers
    from schemas.workflow_io import LateEventInput
    from workflows.names import LATE_EVENT_WORKFLOW
    from workflows.until_done import until_done


@workflow.defn(name=LATE_EVENT_WORKFLOW)
class LateEventWorkflow:
    """One late event. The database decides: a duplicate changes nothing, any other is refused and published."""

    @workflow.run
    async def run(self, request: LateEventInput) -> LateAnswers:
        """Has the event answered; retried until the database and Kafka have the answer."""
        late = AnswerLateEvents(order_id=request.order_id, events=(request.event,))
        return await until_done(OrderActivities.answer_late_events, late, request.policy)
