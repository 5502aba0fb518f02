"""Dead letters: the list, one of them whole, and what a replay would do and did. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from orders.operations.dead_letters.documents import time_text
from orders.operations.dead_letters.finding import Listing, Shown, Summary
from orders.operations.dead_letters.prospects import Effect, Prospect
from orders.operations.dead_letters.replay_plan import Refused
from orders.operations.messages import order_id_in
from orders.safe_text import safe_bytes, value_lines
from orders.web.console.rendering.words import counted, event_words, reason_words
from schemas.activity_io import EventOutcome
from schemas.states import OrderState

VALUE_BYTES_MAX: Final = 4_096
"""How much of a record is shown unless all of it is asked for."""
KEY_CHARS_MAX: Final = 200
SPANS: Final[Mapping[str, str]] = {
    "": "any time",
    "1h": "in the last hour",
    "1d": "in the last day",
    "7d": "in the last 7 days",
}
SPAN_LENGTHS: Final = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7)}


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for."""

    order_id: str = ""
    reason: str = ""
    topic: str = ""
    since: str = ""
    """A key of `SPANS`."""

    @property
    def is_narrow(self) -> bool:
        """Whether anything is left out."""
        return self != Filter()


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A line of the list."""

    place: str
    at: str
    origin: str | None
    error_code: str
    message: str
    key: str | None
    replay_count: int

    @classmethod
    def of(cls, summary: Summary) -> "LetterRow":
        """The line of a dead letter."""
        key = None if summary.key is None else safe_bytes(summary.key, chars_max=KEY_CHARS_MAX)
        at = spoken_time(summary.timestamp_ms)
        return cls(summary.at, at, summary.origin, summary.error_code, summary.message, key, summary.replay_count)


@dataclass(frozen=True, slots=True)
class LettersPage:
    """The list's page."""

    letters: tuple[LetterRow, ...]
    matching: int
    cut: int
    codes: tuple[tuple[str, int], ...]
    """Every reason that there is, with how many have it."""
    topics: tuple[str, ...]

    @classmethod
    def of(cls, listing: Listing, topics: Iterable[str]) -> "LettersPage":
        """The page of a listing, the newest first."""
        rows = tuple(LetterRow.of(summary) for summary in reversed(listing.newest))
        return cls(rows, listing.matching, listing.cut, tuple(sorted(listing.codes.items())), tuple(topics))


@dataclass(frozen=True, slots=True)
class LetterPage:
    """One dead letter whole."""

    place: str
    at: str
    origin: str | None
    stage: str
    error_code: str
    message: str
    attempts: str
    bridge_version: str
    replay_count: int
    gone: str | None
    order_id: str | None
    key: str | None
    headers: tuple[tuple[str, str], ...]
    renamed_headers: bool
    value_bytes: int | None
    shown_bytes: int
    lines: tuple[str, ...]
    is_hexdump: bool

    @property
    def cut(self) -> bool:
        """Whether the value goes on behind what is shown."""
        return self.value_bytes is not None and self.value_bytes > self.shown_bytes


def letter_page(shown: Shown, *, full: bool) -> LetterPage:
    """The page of a dead letter."""
    letter, value = shown.letter, shown.source.value
    part = (value or b"") if full else (value or b"")[:VALUE_BYTES_MAX]
    cut = value is not None and len(value) > len(part)
    lines = tuple(value_lines(part, cut=cut)) if part and shown.gone is None else ()
    return LetterPage(
        place=letter.at,
        at=spoken_time(letter.record.timestamp_ms),
        origin=str(letter.origin) if letter.origin else None,
        stage=letter.stage,
        error_code=letter.error_code,
        message=letter.message,
        attempts=letter.attempts,
        bridge_version=letter.bridge_version,
        replay_count=letter.replay_count,
        gone=shown.gone,
        order_id=_order_id(shown),
        key=None if shown.source.key is None else safe_bytes(shown.source.key, chars_max=1_000),
        headers=tuple((name, safe_bytes(raw, chars_max=1_000)) for name, raw in shown.headers),
        renamed_headers=bool(letter.renamed_headers),
        value_bytes=None if value is None else len(value),
        shown_bytes=len(part),
        lines=lines,
        is_hexdump=bool(lines) and lines[0].startswith("00000000  "),
    )


def _order_id(shown: Shown) -> str | None:
    """Which order it names: in its body, else by its key."""
    found = order_id_in(shown.source.value or b"")
    if found is None and shown.source.key:
        try:
            found = shown.source.key.decode()
        except UnicodeDecodeError:
            return None
    return found


def spoken_time(timestamp_ms: int) -> str:
    """A record's time."""
    return time_text(timestamp_ms).replace("T", " ").replace("Z", " UTC")


# A replay, before and after ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A line of a dry run, or of a replay."""

    place: str
    to: str
    order_id: str | None
    state: OrderState | None
    words: str
    goes: bool = True
    """Whether there is anything to send again."""
    in_vain: bool = False
    """Whether it would be set aside again."""

    @classmethod
    def of(cls, prospect: Prospect) -> "PlanRow":
        """The line of a record that would be replayed."""
        goes = prospect.effect is not Effect.GONE
        in_vain = prospect.effect is Effect.SET_ASIDE
        words = effect_words(prospect)
        return cls(str(prospect.place), prospect.to, prospect.order_id, prospect.state, words, goes, in_vain)

    @classmethod
    def after(cls, prospect: Prospect, outcome: EventOutcome | None, set_aside_at: str | None) -> "PlanRow":
        """The line of a record that was replayed."""
        return cls(str(prospect.place), prospect.to, prospect.order_id, None, came_of(prospect, outcome, set_aside_at))


@dataclass(frozen=True, slots=True)
class PlanPage:
    """A dry run."""

    records: tuple[PlanRow, ...]
    duplicates: int
    refused: tuple[Refused, ...]
    trust: bool = False
    """Whether what cannot be proved was believed."""

    @property
    def wanting_trust(self) -> tuple[str, ...]:
        """Places of those that would be replayed if they were trusted."""
        return tuple(one.at for one in self.refused if one.wants_trust)

    @property
    def going(self) -> tuple[PlanRow, ...]:
        """Those that can be sent again."""
        return tuple(row for row in self.records if row.goes)

    @property
    def is_in_vain(self) -> bool:
        """Whether all that would be sent would be set aside again."""
        return all(row.in_vain for row in self.going)

    @property
    def warning(self) -> str | None:
        """A sentence about the records that would be set aside again; None where none would."""
        in_vain = sum(row.in_vain for row in self.records)
        if not in_vain:
            return None
        whole = "Nothing would come of it" if self.is_in_vain else f"Nothing would come of {in_vain} of them"
        return f"{whole}: what is wrong with what was sent is not corrected."

    @property
    def summary(self) -> str:
        """All of it in a sentence."""
        staying = len(self.records) - len(self.going) + len(self.refused)
        told = f"{counted(len(self.going), 'record')} would be replayed"
        return f"{told}{f', {staying} would not' if staying else ''}."


def effect_words(prospect: Prospect) -> str:
    """What a record would do to its order."""
    what = event_words(prospect.event_type) if prospect.event_type else "record"
    words = {
        Effect.APPLIED: f"The {what} would be applied.",
        Effect.STARTS: "It would start the order.",
        Effect.HELD: f"The {what} would be kept until the order is ready for it.",
        Effect.REFUSED: f"The {what} would be refused, because {reason_words(prospect.reason)}.",
        Effect.DUPLICATE: "Nothing: this very event was decided before.",
        Effect.SET_ASIDE: f"It would be set aside again ({prospect.reason}): the cause is not corrected.",
        Effect.GONE: f"It cannot be replayed: {prospect.reason}.",
    }
    return words[prospect.effect]


def came_of(prospect: Prospect, outcome: EventOutcome | None, set_aside_at: str | None) -> str:
    """What a replayed record did."""
    if set_aside_at is not None:
        return f"It was set aside again, at {set_aside_at}."
    if prospect.effect is Effect.DUPLICATE:
        return "Nothing: this very event had been decided before."
    if outcome is None:
        return "Sent; not decided yet."
    if outcome.reason is None:
        return f"{outcome.outcome.value.capitalize()}."
    return f"{outcome.outcome.value.capitalize()}, because {reason_words(outcome.reason)}."
