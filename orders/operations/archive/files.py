"""The archive's files: JSON Lines, a line an order, compressed by gzip, each with its SHA-256 beside it.

Any tool reads them: ``sha256sum -c *.sha256``, ``zcat *.jsonl.gz | jq 'select(.order_id == "o-1001")'``.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from orders.errors import OrdersError, UsageError

_SUFFIX: Final = ".jsonl.gz"
_CHECKSUM_SUFFIX: Final = ".sha256"
_BLOCK_BYTES: Final = 1 << 20


class DamagedArchiveError(OrdersError):
    """A file of the archive is not what was written."""


def require_folder(folder: Path) -> None:
    """Refuses a folder that there is not: made by mistake, it might be on any disk.

    Raises:
        UsageError: there is none.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: make it, on a disk that is backed up")


def write_file(folder: Path, lines: Iterable[str], made_at: datetime) -> Path:
    """Writes a file and its checksum so that they are on the disk, or are not there at all.

    Args:
        folder: where; it exists.
        lines: a JSON document each.
        made_at: when the archive was made, for the file's name.

    Raises:
        OrdersError: the disk does not take it.
    """
    part = folder / f".{os.getpid()}-{made_at:%Y%m%dT%H%M%S%f}.part"
    try:
        with part.open("wb") as raw:
            # No time in its header: the same lines make the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                for line in lines:
                    packed.write(line.encode() + b"\n")
            raw.flush()
            os.fsync(raw.fileno())
        digest = _digest(part)
        path = folder / f"orders-{made_at:%Y%m%dT%H%M%SZ}-{digest[:12]}{_SUFFIX}"
        _put_beside(path, digest)
        part.rename(path)
        _sync_folder(folder)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OrdersError(f"{folder} does not take the archive: {error.strerror}") from error
    return path


def read_file(path: Path) -> Iterator[dict[str, Any]]:
    """The orders of a file, after its bytes were compared with its checksum.

    Raises:
        DamagedArchiveError: they differ, or there is no checksum, or a line is no document.
    """
    try:
        said = {line.split()[0] for line in _checksum_of(path).read_text(encoding="ascii").splitlines()}
        if _digest(path) not in said:
            raise DamagedArchiveError(f"{path} is damaged: its bytes are not those of {_checksum_of(path).name}")
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise DamagedArchiveError(f"{path} cannot be read as an archive ({type(error).__name__}: {error})") from error


def payloads_of(documents: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, str]]:
    """The published bytes of each order's events, by order id and number."""
    return {one["order_id"]: {event["sequence"]: event["payload"] for event in one["events"]} for one in documents}


def archive_files(folder: Path) -> list[Path]:
    """The files of an archive, the oldest first."""
    return sorted(folder.glob(f"orders-*{_SUFFIX}"))


def rewrite_file(path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> int:
    """Puts changed documents into a file, which keeps its name.

    Args:
        path: the file.
        change: returns a document as it is to be; None where it stays as it is.

    Returns:
        How many documents changed; the file is left alone where none did.

    Raises:
        DamagedArchiveError: the file is not what was written.
        OrdersError: the disk does not take it.
    """
    # Twice, so that a file of which nothing changes is not written, and none is held in memory.
    changed = sum(change(document) is not None for document in read_file(path))
    if not changed:
        return 0
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as raw:
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                for document in read_file(path):
                    line = json.dumps(change(document) or document, ensure_ascii=False, separators=(",", ":"))
                    packed.write(line.encode() + b"\n")
            raw.flush()
            os.fsync(raw.fileno())
        before, after = _digest(path), _digest(part)
        # Both, for as long as either file may be there: this may be killed at any moment.
        _put_beside(path, before, after)
        part.replace(path)
        _sync_folder(path.parent)
        _put_beside(path, after)
        _sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OrdersError(f"{path} cannot be written anew: {error.strerror}") from error
    return changed


def discard(path: Path) -> None:
    """Deletes a file that holds nothing which is not in the database."""
    path.unlink(missing_ok=True)
    _checksum_of(path).unlink(missing_ok=True)


def _checksum_of(path: Path) -> Path:
    return path.with_name(path.name + _CHECKSUM_SUFFIX)


def _put_beside(path: Path, *digests: str) -> None:
    """Writes the checksum, as ``sha256sum -c`` reads it; several, where any of them may be the file's."""
    part = path.with_name(f".{path.name}{_CHECKSUM_SUFFIX}.part")
    with part.open("w", encoding="ascii") as out:
        out.writelines(f"{digest}  {path.name}\n" for digest in digests)
        out.flush()
        os.fsync(out.fileno())
    part.replace(_checksum_of(path))


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as raw:
        while block := raw.read(_BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Has the names in a folder on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
