"""What somebody may send who means harm, or has a broken program: texts, values and headers of records."""

from typing import Final

TITLE: Final = "\x1b]0;PWNED\x07"
CLEARED: Final = "\x1b[2J\x1b[31mFAKE: order COMPLETED\x1b[0m"
CLIPBOARD: Final = "\x1b]52;c;cm0gLXJmIH4=\x07"
LINK: Final = "\x1b]8;;https://evil.example\x1b\\ok\x1b]8;;\x1b\\"
C1: Final = "\x9b31mC1\x9d0;title\x9c"
REVERSED: Final = "\u202egnp.exe\u202c"
ISOLATED: Final = "\u2066a\u2069\u2067b\u2069"
FORGED_LINE: Final = "x\r\n2026-11-25 [error] forged line level=error"
OVERWRITTEN: Final = "harmless\rrefused \x08\x08\x08"
OTHER_LINES: Final = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
HIDDEN: Final = "o\u200b-1\ufeff\u00ad"
DELETED: Final = "a\x7fb"
TAGS: Final = "\U000e0041\U000e0042"

HOSTILE_TEXTS: Final = (
    TITLE,
    CLEARED,
    CLIPBOARD,
    LINK,
    C1,
    REVERSED,
    ISOLATED,
    FORGED_LINE,
    OVERWRITTEN,
    OTHER_LINES,
    HIDDEN,
    DELETED,
    TAGS,
)
"""Each does something to a terminal, to the order of what is read, or to where a line ends."""


def obeyed(text: str, *, lines: bool = False) -> list[str]:
    """The characters of a text that are not merely shown.

    Args:
        text: what is on its way to a person.
        lines: whether line feeds are ours.
    """
    return [one for one in text if not one.isprintable() and not (lines and one == "\n")]
