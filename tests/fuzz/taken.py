"""Values out of a fuzzer's bytes: whatever the bytes are, they are some record."""

from typing import Final

from bridge import Header

_ABSENT: Final = 0xFF


class Taken:
    """Takes values from the front of bytes; where they have ended, everything is 0 and empty.

    Args:
        data: the fuzzer's.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, below: int = 256) -> int:
        """One byte, as a number below a bound of at most 256."""
        taken = self.take(1)
        return taken[0] % below if taken else 0

    def take(self, size: int) -> bytes:
        """So many bytes, or as many as there are."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def part(self) -> bytes | None:
        """A key, a value or a header's: up to 254 bytes, or none at all."""
        size = self.number()
        return None if size == _ABSENT else self.take(size)

    def text(self) -> str:
        """A header's name, as the lenient reader hands it out."""
        return (self.part() or b"").decode("utf-8", "backslashreplace")

    def headers(self, names: tuple[str, ...]) -> tuple[Header, ...]:
        """Up to a dozen headers, most of them of the names that mean something."""
        found = []
        for _ in range(self.number(13)):
            chosen = self.number()
            name = names[chosen % len(names)] if chosen < 0xC0 else self.text()
            found.append((name, self.part()))
        return tuple(found)

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))
