"""The templates, with what they may use to show values."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orders.hints import as_typed
from orders.safe_text import safe_lines, safe_text
from orders.web.console.rendering import moments, words
from orders.web.console.rendering.folding import folded
from orders.web.console.rendering.money import money
from orders.web.console.static_files import static_url

TEXT_CHARS_MAX: Final = 120
"""How much of a text is shown before the rest is folded away; nearly all names and streets are shorter."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
        # Always, and not by a file's name: whatever stands in a record is text, in every template.
        autoescape=True,
        finalize=_obeyed_by_nobody,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        printable=printable,
        ago=moments.ago,
        moment=moments.moment,
        duration=moments.duration,
        countdown=moments.countdown,
        epoch_ms=moments.epoch_ms,
        reason=words.reason_words,
        typed=as_typed,
        told=told,
        folded=folded,
    )
    environment.globals.update(
        static=static_url,
        money=money,
        counted=words.counted,
        state_words=words.STATES,
        payment_words=words.PAYMENTS,
        text_chars_max=TEXT_CHARS_MAX,
    )
    return environment


def _obeyed_by_nobody(value: object) -> object:
    """What a template shows, wherever it shows it; text of several lines keeps its line ends."""
    return safe_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def printable(text: object) -> str:
    """A text that cannot act: control characters, and marks that turn the direction, are written as escapes."""
    return safe_text(str(text))


def told(sentence: object) -> Markup:
    """A sentence of ours with each command in it as it is typed here, and as commands look; all else in it is text."""
    text, command = Markup("{}"), Markup("<code>{}</code>")
    parts = printable(as_typed(str(sentence))).split("`")
    # What stands between two of them; a last one that stands alone is a character as any other.
    whole = len(parts) if len(parts) % 2 else len(parts) - 2
    told = [(command if number % 2 else text).format(part) for number, part in enumerate(parts[:whole])]
    return Markup("").join([*told, text.format("`".join(parts[whole:]))])


def render(template: str, **values: Any) -> str:
    """A page or a part of one.

    Args:
        template: the file's name, in ``templates/``.
        values: what it shows.
    """
    return _environment().get_template(template).render(**values)
