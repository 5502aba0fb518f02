"""What was found at the servers, as lines for a person. Pure."""

from collections.abc import Iterable, Iterator
from typing import Final

from orders.cli.rendering.safe_markup import safe_markup
from orders.hints import as_typed
from orders.installation.connections.findings import Finding, Verdict

_WORDS: Final = {
    Verdict.OK: "[green]ok     [/green]",
    Verdict.MISSING: "[red]missing[/red]",
    Verdict.LIMITED: "[yellow]limited[/yellow]",
    Verdict.UNKNOWN: "[dim]unknown[/dim]",
}


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """A line for each in rich's markup, and below it what to do."""
    for one in findings:
        detail = safe_markup(as_typed(one.detail))
        yield f"{_WORDS[one.verdict]}  [bold]{one.server:<16}[/bold] {safe_markup(one.what)}: {detail}"
        if one.action is not None:
            yield f"{'':<26}→ {safe_markup(as_typed(one.action))}"
