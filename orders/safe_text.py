"""What strangers wrote, as text that a terminal or a page shows and never obeys. Pure."""

from typing import Final

_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_HEX_BYTES_A_LINE: Final = 16
_FIRST_PRINTABLE, _LAST_PRINTABLE = 0x20, 0x7E
_TEXT_SHARE: Final = 0.9
"""Bytes that are mostly printable are shown as text, with escapes; others as a hexdump."""


def safe_text(text: str) -> str:
    """The text on one line, with every character that is not printable written as an escape.

    That is what could move the cursor, colour the terminal, reorder the line (bidirectional controls), or hide.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def safe_lines(text: str) -> str:
    """The same for text of several lines, such as a traceback: its line ends stay."""
    return text if text.isprintable() else "\n".join(safe_text(line) for line in text.split("\n"))


def safe_bytes(raw: bytes | None, *, chars_max: int) -> str:
    """Bytes as one line of safe text; what is not UTF-8 is written as escapes."""
    if raw is None:
        return "(none)"
    text = safe_text(raw[: chars_max * 4].decode("utf-8", "backslashreplace"))
    return text if len(text) <= chars_max else f"{text[:chars_max]}…"


def value_lines(raw: bytes, *, cut: bool = False) -> list[str]:
    """Bytes as lines: text as it stands, with its own line ends; else a hexdump.

    Args:
        raw: the bytes.
        cut: whether they are the beginning of more, and so may end within a character.
    """
    text = _as_text(raw, cut=cut)
    if text is None:
        return hexdump(raw)
    return [safe_text(line) for line in text.replace("\r\n", "\n").split("\n")]


def _as_text(raw: bytes, *, cut: bool) -> str | None:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        if not cut or error.reason != "unexpected end of data":
            return None
        text = raw[: error.start].decode()
    printable = sum(character.isprintable() or character in "\n\r\t" for character in text)
    return text if printable >= len(text) * _TEXT_SHARE else None


def hexdump(raw: bytes) -> list[str]:
    """Bytes as offset, hexadecimal and ASCII."""
    lines = []
    for start in range(0, len(raw), _HEX_BYTES_A_LINE):
        part = raw[start : start + _HEX_BYTES_A_LINE]
        shown = "".join(chr(byte) if _FIRST_PRINTABLE <= byte <= _LAST_PRINTABLE else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<47}  {shown}")
    return lines


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if code <= 0xFF:  # noqa: PLR2004 - what two digits hold
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - what four digits hold
