"""A line for what does not answer while `orders demo` runs, and for its end."""

from orders.cli.rendering.safe_markup import safe_markup


def trouble_line(sentence: str, *, is_over: bool) -> str:
    """The sentence in rich's markup, behind a word that says which of the two it is."""
    mark = "[green]over:[/green]" if is_over else "[yellow]trouble:[/yellow]"
    return f"{mark} {safe_markup(sentence)}"
