"""Dead letters as text for a terminal."""

from collections.abc import Iterator
from typing import Final

from rich.markup import escape

from orders.cli.rendering.moments import timestamp_text
from orders.operations.dead_letters.finding import Shown, Summary
from orders.safe_text import safe_bytes, safe_text, value_lines

_KEY_CHARS_MAX: Final = 40
_TEXT_CHARS_MAX: Final = 300
_HEADER_CHARS_MAX: Final = 500
TIME_WIDTH: Final = 25
"""Of a time with its offset."""


SUMMARY_HEADER: Final = f"[bold]{'place':<8} {'set aside at':<{TIME_WIDTH}}  came from  reason  key  what to do[/bold]"
"""Above the lines of a list."""


def summary_line(summary: Summary) -> str:
    """One dead letter on a line, in rich's markup."""
    extra = f"  [yellow]after {summary.replay_count} replays[/yellow]" if summary.replay_count else ""
    pointer = "  [dim](pointer)[/dim]" if summary.is_pointer else ""
    when = f"{timestamp_text(summary.timestamp_ms):<{TIME_WIDTH}}"
    return (
        f"{summary.at:<8} [dim]{when}[/dim]  {_one_line(summary.origin or '-')}  "
        f"[red]{_one_line(summary.error_code)}[/red]  {escape(safe_bytes(summary.key, chars_max=_KEY_CHARS_MAX))}  "
        f"{_one_line(summary.message)}{pointer}{extra}"
    )


def letter_lines(shown: Shown, value_bytes_max: int | None) -> Iterator[tuple[str, str]]:
    """Everything about a dead letter, as a name and a text for each line; plain text, and safe."""
    letter = shown.letter
    yield "dead letter", letter.at
    yield "set aside at", timestamp_text(letter.record.timestamp_ms)
    if letter.origin is not None:
        yield "came from", safe_text(str(letter.origin))
        yield "its timestamp", timestamp_text(letter.origin.timestamp_ms)
    if letter.replay_count:
        yield "replays before", f"{letter.replay_count}, of {safe_text(letter.first_identity or '')}"
    yield "reason", safe_text(f"{letter.error_code} ({letter.stage or 'no stage'})")
    yield "what to do", safe_text(letter.message)
    yield "attempts", safe_text(letter.attempts)
    yield "bridge version", safe_text(letter.bridge_version)
    if letter.is_pointer:
        where = shown.gone or f"was too large to be copied; what follows is read from {letter.origin}"
        yield "the record", safe_text(where)
    yield "key", safe_bytes(shown.source.key, chars_max=_HEADER_CHARS_MAX)
    for name, value in shown.headers:
        yield "header", f"{safe_text(name)}: {safe_bytes(value, chars_max=_HEADER_CHARS_MAX)}"
    if letter.renamed_headers:
        yield "note", "the sender put on headers that begin as the bridge's own; none was believed"
    if shown.gone is None:
        yield from _value_lines(shown.source.value, value_bytes_max)


def _value_lines(value: bytes | None, bytes_max: int | None) -> Iterator[tuple[str, str]]:
    if value is None:
        yield "value", "(none)"
        return
    yield "value", f"{len(value)} bytes"
    cut = bytes_max is not None and len(value) > bytes_max
    for line in value_lines(value[:bytes_max], cut=cut):
        yield "", line
    if cut:
        yield "cut", f"the first {bytes_max} of {len(value)} bytes; --full shows all"


def _one_line(text: str) -> str:
    shown = safe_text(text)
    return escape(shown if len(shown) <= _TEXT_CHARS_MAX else f"{shown[:_TEXT_CHARS_MAX]}…")
