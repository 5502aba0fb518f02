"""What of a system's work is done, and whether any is left."""

from collections.abc import Collection
from dataclasses import dataclass, field

from temporalio.client import Client

from tests.helpers.messages.kafka_io import group_offsets


@dataclass(slots=True)
class WorkLeft:
    """Looks how far the bridges and the runs are.

    Args:
        client: Temporal's, in the namespace of the runs.
        kafka_servers: Where the topics are.
        group_id: The bridges' group.
        input_topics: What they read.
        events_topic: What the runs publish to; None where only the bridges' work counts.
    """

    client: Client
    kafka_servers: str
    group_id: str
    input_topics: Collection[str]
    events_topic: str | None
    done: dict[str, int] = field(default_factory=dict)
    """By the last look: records committed, and runs ended and events published where those count."""

    async def is_none(self) -> bool:
        """Whether every record is committed, no workflow runs, and nothing has moved since the look before.

        Commits are looked at first: what is committed has been handed over, and so has begun its run. Temporal lists a
        run a moment after it has begun, which is what the second look is for.
        """
        offsets = await group_offsets(self.kafka_servers, self.group_id, list(self.input_topics))
        running, done = 0, {"committed": sum(one.committed or 0 for one in offsets)}
        if self.events_topic is not None:
            running = (await self.client.count_workflows('ExecutionStatus = "Running"')).count
            done["ended"] = (await self.client.count_workflows('ExecutionStatus != "Running"')).count
            published = await group_offsets(self.kafka_servers, self.group_id, [self.events_topic])
            done["published"] = sum(one.end for one in published)
        before, self.done = self.done, done
        return running == 0 and all(one.drained for one in offsets) and done == before
