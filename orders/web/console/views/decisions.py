"""What became of decisions, one line for each order. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orders.web.console.rendering.words import counted, reason_words


class Choice(StrEnum):
    """What a person decides."""

    APPROVE = "approve"
    CANCEL = "cancel"

    @property
    def done(self) -> str:
        """The decision as applied."""
        return "approved" if self is Choice.APPROVE else "cancelled"


class Standing(StrEnum):
    """How far a decision is."""

    APPLIED = "applied"
    REJECTED = "rejected"
    HELD = "held"
    UNDECIDED = "undecided"
    UNSENT = "unsent"
    """It did not reach Temporal, as far as is known."""


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """What became of one order's decision."""

    order_id: str
    choice: Choice
    standing: Standing
    reason: str | None = None
    """Of a refusal its code; of one that was not sent, why; of one that is not decided, what it waits for."""

    @property
    def is_applied(self) -> bool:
        """Whether the order's workflow has done it."""
        return self.standing is Standing.APPLIED

    @property
    def words(self) -> str:
        """What a person reads behind the order's id. "approved" stands there only where it is so."""
        done = self.choice.done
        match self.standing:
            case Standing.APPLIED:
                return f"is {done}."
            case Standing.REJECTED:
                return f"was not {done}, because {reason_words(self.reason) or 'its workflow refused it'}."
            case Standing.HELD:
                return f"is not {done} yet: its workflow keeps the decision until the order itself has come."
            case Standing.UNDECIDED:
                waits = f", which waits for {self.reason}" if self.reason else ""
                return f"is not {done} yet: it was sent to its workflow{waits}. The list says when it is."
            case Standing.UNSENT:
                return f"was not {done}: {self.reason}"

    @property
    def what_to_do(self) -> str | None:
        """What the person can do about it; None where there is nothing to do."""
        if self.standing is Standing.REJECTED and self.reason == "order_changed":
            return "Look at it as it is now, then decide again."
        return None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the decisions of one click."""

    choice: Choice
    lines: tuple[OutcomeLine, ...]

    @classmethod
    def of(cls, choice: Choice, lines: Sequence[OutcomeLine]) -> "Outcomes":
        """Those that need a look come first."""
        return cls(choice, tuple(sorted(lines, key=lambda line: line.is_applied)))

    @property
    def summary(self) -> str:
        """All of them in a sentence."""
        applied = sum(line.is_applied for line in self.lines)
        others = len(self.lines) - applied
        if not others:
            return f"{counted(applied, 'order')} {self.choice.done}."
        if not applied:
            none = "The order was" if others == 1 else f"None of {counted(others, 'order')} was"
            return f"{none} {self.choice.done}." if others > 1 else f"The order was not {self.choice.done}."
        return f"{applied} of {counted(len(self.lines), 'order')} {self.choice.done}, {others} not."

    @property
    def all_applied(self) -> bool:
        """Whether there is nothing to look at."""
        return all(line.is_applied for line in self.lines)
