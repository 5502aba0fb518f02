"""What became of decisions, one line for each order. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orders.web.console.rendering.words import counted, reason_words


class Choice(StrEnum):
    """What a person decides."""

    APPROVE = "approve"
    CANCEL = "cancel"
    READDRESS = "readdress"
    """The order goes elsewhere."""

    @property
    def done(self) -> str:
        """The decision as applied, in one word."""
        return {Choice.APPROVE: "approved", Choice.CANCEL: "cancelled", Choice.READDRESS: "readdressed"}[self]

    @property
    def is_done(self) -> str:
        """What an order is once the decision is applied, to be read behind its id."""
        return "goes to the new address" if self is Choice.READDRESS else f"is {self.done}"

    @property
    def is_not_done(self) -> str:
        """What an order is for which the decision was refused."""
        return "keeps its address" if self is Choice.READDRESS else f"was not {self.done}"

    @property
    def is_not_done_yet(self) -> str:
        """What an order is for which the decision has not been taken yet."""
        return "has its address of before" if self is Choice.READDRESS else f"is not {self.done} yet"


class Standing(StrEnum):
    """How far a decision is."""

    APPLIED = "applied"
    REJECTED = "rejected"
    HELD = "held"
    UNDECIDED = "undecided"
    UNANSWERED = "unanswered"
    """Temporal did not answer: it may have the decision, or not."""
    UNSENT = "unsent"
    """It was not sent to Temporal, or Temporal refused it."""

    @property
    def is_recorded(self) -> bool:
        """Whether the order's records say so, or will; the rest is known only to who sent the decision."""
        return self not in (Standing.UNANSWERED, Standing.UNSENT)


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """What became of one order's decision."""

    order_id: str
    choice: Choice
    standing: Standing
    reason: str | None = None
    """Of a refusal its code; of one that was not sent or not answered, why; of one that is not decided, what it waits
    for."""

    @property
    def is_applied(self) -> bool:
        """Whether the order's workflow has done it."""
        return self.standing is Standing.APPLIED

    @property
    def words(self) -> str:
        """What a person reads behind the order's id. "approved" stands there only where it is so."""
        choice = self.choice
        match self.standing:
            case Standing.APPLIED:
                return f"{choice.is_done}."
            case Standing.REJECTED:
                return f"{choice.is_not_done}, because {reason_words(self.reason) or 'its workflow refused it'}."
            case Standing.HELD:
                return f"{choice.is_not_done_yet}: its workflow keeps the decision until the order itself has come."
            case Standing.UNDECIDED:
                waits = f" It waits for {self.reason}." if self.reason else ""
                return f"{choice.is_not_done_yet}: the decision was sent, and is not taken.{waits}"
            case Standing.UNANSWERED:
                return f"{choice.is_not_done_yet}, as far as is known: {self.reason}."
            case Standing.UNSENT:
                return f"{choice.is_not_done}: {self.reason}"

    @property
    def what_to_do(self) -> str | None:
        """What the person can do about it; None where there is nothing to do."""
        match self.standing:
            case Standing.REJECTED if self.reason == "order_changed":
                return "Look at it as it is now, then decide again."
            case Standing.UNDECIDED:
                return "This page shows when it is; nothing has to be sent again."
            case Standing.UNANSWERED:
                return "The decision may have arrived. Send it again once that is mended: it counts once."
            case _:
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
