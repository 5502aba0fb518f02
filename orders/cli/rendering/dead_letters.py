"""Dead letters as text for a terminal."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len

from orders.cli.rendering.moments import timestamp_text
from orders.cli.rendering.safe_markup import safe_markup
from orders.operations.dead_letters.finding import Shown, Summary
from orders.safe_text import safe_bytes, safe_text, value_lines

_KEY_CHARS_MAX: Final = 40
_TEXT_CHARS_MAX: Final = 300
_HEADER_CHARS_MAX: Final = 500
_COLUMNS: Final = ("place", "set aside at", "came from", "reason", "key", "what to do")
_STYLES: Final = ("", "dim", "", "red", "", "")


def summary_lines(summaries: Sequence[Summary], *, titled: bool = False) -> Iterator[str]:
    """Dead letters, one on a line, in columns, in rich's markup.

    Args:
        summaries: What is shown; all of them make the columns' widths.
        titled: Whether a line of the columns' names stands above them.
    """
    rows = [_cells(one) for one in summaries]
    if not rows:
        return
    columns = zip(*rows, strict=True)
    least = _COLUMNS if titled else ("",) * len(_COLUMNS)
    widths = [max(map(cell_len, (name, *texts))) for name, texts in zip(least, columns, strict=True)]
    widths[-1] = 0  # The last column ends the line, however long it is.
    if titled:
        yield f"[bold]{_joined(_COLUMNS, widths)}[/bold]"
    for summary, row in zip(summaries, rows, strict=True):
        pointer = "  [dim](pointer)[/dim]" if summary.is_pointer else ""
        again = f"  [yellow]after {summary.replay_count} replays[/yellow]" if summary.replay_count else ""
        yield f"{_joined(row, widths, _STYLES)}{pointer}{again}"


def _cells(summary: Summary) -> tuple[str, ...]:
    """Plain text, and safe."""
    return (
        summary.at,
        timestamp_text(summary.timestamp_ms),
        _one_line(summary.origin or "-"),
        _one_line(summary.error_code),
        safe_bytes(summary.key, chars_max=_KEY_CHARS_MAX),
        _one_line(summary.message),
    )


def _joined(texts: Sequence[str], widths: Sequence[int], styles: Sequence[str] = ("",) * len(_COLUMNS)) -> str:
    cells = []
    for text, width, style in zip(texts, widths, styles, strict=True):
        shown = f"[{style}]{safe_markup(text)}[/{style}]" if style else safe_markup(text)
        cells.append(shown + " " * max(0, width - cell_len(text)))
    return "  ".join(cells)


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
    return shown if len(shown) <= _TEXT_CHARS_MAX else f"{shown[:_TEXT_CHARS_MAX]}…"
