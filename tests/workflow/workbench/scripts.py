"""What is to happen to one order of a timeline."""

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeAlias

from tests.workflow.workbench.words import Sent


class Do(Enum):
    """What a script does beside sending events."""

    GO = auto()
    """Lets the activity under way come to its end."""
    TERMINATE = auto()
    """Has an operator terminate the run, where the order is at rest."""


@dataclass(frozen=True, slots=True)
class Round:
    """What happens to one order while time stands still."""

    steps: tuple[Sent | Do, ...]
    publishing_is_held: bool = False
    """Whether nothing is published until the round is over: the run then answers while it publishes, also its end."""
    late: tuple[Sent, ...] = ()
    """Events that come to Kafka in this round, and are handed over only after the time that follows it."""

    def __str__(self) -> str:
        late = f" (in Kafka: {', '.join(map(str, self.late))})" if self.late else ""
        return f"[{', '.join(map(str, self.steps))}{' (not published)' if self.publishing_is_held else ''}{late}]"


Script: TypeAlias = tuple[Round, ...]


def with_one_step_less(script: Script) -> list[Script]:
    """Each script that does one thing less."""
    smaller = []
    for number, one in enumerate(script):
        shorter = [replace(one, steps=one.steps[:at] + one.steps[at + 1 :]) for at in range(len(one.steps))]
        shorter += [replace(one, late=one.late[:at] + one.late[at + 1 :]) for at in range(len(one.late))]
        if one.publishing_is_held:
            shorter.append(replace(one, publishing_is_held=False))
        smaller += [(*script[:number], instead, *script[number + 1 :]) for instead in shorter]
    return smaller
