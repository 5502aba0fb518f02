"""Files of keys and secrets, as they are mounted: read with a bound, and seen to be renewed."""

from pathlib import Path

Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp | None:
    """Inode, size and time of change: they differ once a file is written or replaced. None for one that is missing."""
    try:
        # Through links: a mounted secret is renewed by a link that leads elsewhere.
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def read_small_file(path: Path, *, bytes_max: int, kind: str) -> bytes:
    """A file's content.

    Args:
        path: the file.
        bytes_max: far above any file of its kind; a wrong path may lead to a file of any size.
        kind: what it holds, such as "keys".

    Raises:
        ValueError: it cannot be read, or is longer than `bytes_max`. Whoever calls puts the file before the message.
    """
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > bytes_max:
        raise ValueError(f"is longer than {bytes_max} bytes: it is no file of {kind}")
    return content
