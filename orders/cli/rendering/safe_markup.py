"""What strangers wrote, on a terminal: the one way for it to get there."""

import re
from collections.abc import Iterable
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment

from orders.safe_text import safe_lines, safe_text

_OPEN_TAG: Final = re.compile(r"\[[a-z#/@][^][]*$")
_FENCE: Final = "[not dim][/not dim]"
"""Shows nothing. Put behind a text that begins a tag, it keeps what follows from ending that tag."""


def safe_markup(text: object) -> str:
    """A text as rich's markup shows it: on one line, as it stands, with escapes for what a terminal would obey.

    Rich's own `escape` leaves a tag that a text begins and does not end, for the next text on the line to end.
    """
    safe = safe_text(str(text))
    return escape(safe) + (_FENCE if _OPEN_TAG.search(safe) else "")


class SafeConsole(Console):
    """A console on which only our own colours and line ends act, whatever a text holds.

    A text that has to stay on one line goes through `safe_markup` before.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of what is printed, each with escapes in the place of what a terminal would obey."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=safe_lines(segment.text))
