"""What this application has left on this machine, how large it is, who uses it, and taking it away."""

import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlparse

import psutil
from filelock import FileLock, Timeout

from orders.local.ups import running_here
from stack.accounts import SHARED_STATE_DIR
from stack.paths import cache_dir, stacks_dir
from stack.state import StackState

_OF_AN_ENVIRONMENT: Final = ("mypy", "coverage")
"""Folders of the cache that hold a folder for each environment, under the environment's name."""
_KEPT: Final = frozenset({"environments", "pycache", "apt.lock", *_OF_AN_ENVIRONMENT})
"""What is in the cache folder and looked at piece by piece, or not worth a line."""


class Kind(StrEnum):
    """What becomes of a piece that is deleted."""

    LEFTOVER = "leftover"
    """Nobody misses it: it is of a clone that is gone, or another has taken its place."""
    ENVIRONMENT = "environment"
    """Of a clone that is there: made again with the next command, in a minute."""
    DOWNLOAD = "download"
    """Downloaded, built or made again when it is needed, in minutes."""
    STATE = "state"
    """The local servers' data: gone for good."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is deleted together."""

    kind: Kind
    what: str
    paths: tuple[Path, ...]
    bytes_on_disk: int
    used_by: str | None = None
    """What uses it now, so that it is not deleted; None where nothing does."""


def find_pieces() -> list[Piece]:
    """Everything in the cache folder and the state folder. Looks at every file: seconds where there are many."""
    programs = _programs()
    pieces = [*_environments(programs), *_downloads(programs), *_stacks()]
    return sorted(pieces, key=lambda piece: (list(Kind).index(piece.kind), -piece.bytes_on_disk))


def delete_pieces(pieces: list[Piece], deleted: Callable[[Piece], None]) -> Iterator[str]:
    """Deletes what is used by nobody, and calls back after each piece.

    Yields:
        A sentence for each piece that could not be deleted, or not wholly.
    """
    programs = _programs()
    for piece in pieces:
        user = piece.used_by or _user_of(piece.paths, programs)
        if user is not None:
            yield f"{piece.what} stays: {user} uses it"
            continue
        problems = list(_delete_stack(piece) if piece.kind is Kind.STATE else _delete(piece.paths))
        yield from (f"{piece.what}: {problem}" for problem in problems)
        deleted(piece)


def _delete_stack(piece: Piece) -> Iterator[str]:
    """Deletes a stack's folder while nobody can start servers in it."""
    lock = FileLock(piece.paths[0] / ".lock")
    try:
        with lock.acquire(blocking=False):
            if _stack_user(piece.paths[0]) is not None:
                yield "it has been started meanwhile"
                return
            yield from _delete(piece.paths)
    except Timeout:
        yield "another process is starting or ending these servers"


def _delete(paths: tuple[Path, ...]) -> Iterator[str]:
    for path in paths:
        problems: list[str] = []

        def note(_: object, name: str, error: BaseException, problems: list[str] = problems) -> None:
            if not isinstance(error, FileNotFoundError):
                problems.append(f"{name} stays ({getattr(error, 'strerror', None) or error})")

        if path.is_dir() and not path.is_symlink():
            # 3.12 calls it `onexc`; there is no other way to go on past what cannot be deleted in 3.11.
            shutil.rmtree(path, onerror=lambda function, name, info: note(function, name, info[1]))
        else:
            path.unlink(missing_ok=True)
        yield from problems[:1]


# Environments -------------------------------------------------------------------------------------------------------


def _environments(programs: list[tuple[str, list[str]]]) -> Iterator[Piece]:
    """The environments, what tools remember for each, and the bytecode of code that is gone."""
    folder = cache_dir() / "environments"
    found = [path for path in _entries(folder) if path.is_dir()]
    clones = {path: _clone_of(path) for path in found}
    newest = _newest_of_each(clones)
    gone = []
    for path in found:
        clone = clones[path]
        used_by = _being_made(path) or _user_of((path,), programs)
        if clone is None or not clone.exists():
            kind, what = Kind.LEFTOVER, f"environment of {clone or 'an unfinished set-up'}, which is gone"
        elif path not in newest:
            kind, what = Kind.LEFTOVER, f"older environment of {clone}"
        else:
            kind, what = Kind.ENVIRONMENT, f"environment of {clone}"
        remembered = [cache_dir() / name / path.name for name in _OF_AN_ENVIRONMENT]
        paths = (path, *(one for one in remembered if one.exists()))
        if kind is Kind.LEFTOVER and used_by is None:
            gone.append(path)
        yield _piece(kind, what, paths, used_by)
    names = {path.name for path in found}
    lost = [
        one
        for name in _OF_AN_ENVIRONMENT
        for one in _entries(cache_dir() / name)
        if one.is_dir() and one.name not in names
    ]
    lost += _bytecode_of_nothing(cache_dir() / "pycache", gone)
    if lost:
        yield _piece(Kind.LEFTOVER, "bytecode and notes of tools about code that is gone", tuple(lost))


def _clone_of(environment: Path) -> Path | None:
    """The clone that an environment was made for, as pip noted it; None where it was not finished."""
    for note in environment.glob("lib/python*/site-packages/temporal_order_orchestrator-*.dist-info/direct_url.json"):
        try:
            return Path(unquote(urlparse(json.loads(note.read_text())["url"]).path))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _newest_of_each(clones: dict[Path, Path | None]) -> set[Path]:
    """Of each clone's environments the one that was made last."""
    of_each: dict[Path, list[Path]] = defaultdict(list)
    for environment, clone in clones.items():
        if clone is not None:
            of_each[clone].append(environment)
    return {max(group, key=lambda one: one.stat().st_mtime) for group in of_each.values()}


def _being_made(environment: Path) -> str | None:
    """Who makes the environment now, as `bin/in-env` holds its lock meanwhile."""
    if any((environment / name).exists() for name in (".complete", ".complete-local")):
        return None
    try:
        with FileLock(environment.with_suffix(".lock")).acquire(blocking=False):
            return None
    except (Timeout, OSError):
        return "a set-up that goes on"


def _bytecode_of_nothing(folder: Path, gone: list[Path], mirrored: Path = Path("/")) -> Iterator[Path]:
    """The topmost folders of bytecode whose source folder is gone, or about to go."""
    for entry in _entries(folder):
        source = mirrored / entry.name
        if not entry.is_dir():
            continue
        if source in gone or not source.exists():
            yield entry
        else:
            yield from _bytecode_of_nothing(entry, gone, source)


# Downloads and servers ----------------------------------------------------------------------------------------------


def _downloads(programs: list[tuple[str, list[str]]]) -> Iterator[Piece]:
    for path in _entries(cache_dir()):
        if path.name not in _KEPT:
            yield _piece(Kind.DOWNLOAD, f"downloads and builds: {path.name}", (path,), _user_of((path,), programs))


def _stacks() -> Iterator[Piece]:
    shared = _shared_folders()
    for folder in _entries(stacks_dir()):
        if folder.is_dir():
            # What PostgreSQL's own account has to reach lies elsewhere where we are root.
            beside = [path for wished, paths in shared.items() if wished.is_relative_to(folder) for path in paths]
            what = f"data and logs of the local servers {folder.name!r}"
            yield _piece(Kind.STATE, what, (folder, *beside), _stack_user(folder))


def _shared_folders() -> dict[Path, tuple[Path, ...]]:
    """For a folder of ours that PostgreSQL's account cannot reach, what stands for it elsewhere."""
    shared: dict[Path, tuple[Path, ...]] = {}
    for note in _entries(SHARED_STATE_DIR):
        if note.suffix != ".of":
            continue
        try:
            shared[Path(note.read_text())] = (note.with_suffix(""), note)
        except OSError:
            continue
    return shared


def _stack_user(folder: Path) -> str | None:
    for one in running_here(folder):
        return f"`orders {one.command}` (process {one.pid})"
    state = StackState.read(folder / "state.json")
    if state is None:
        return None
    if state.containers or any(each.find() is not None for each in state.processes.values()):
        return "servers that run: `orders stack down` ends them"
    return None


# Sizes and users ----------------------------------------------------------------------------------------------------


def _programs() -> list[tuple[str, list[str]]]:
    """Every process of this machine that can be looked at, by its name and number, and its command line."""
    found = []
    for process in psutil.process_iter(["pid", "name", "exe", "cmdline"]):
        line = [process.info["exe"] or "", *(process.info["cmdline"] or ())]
        found.append((f"process {process.info['pid']} ({process.info['name']})", line))
    return found


def _user_of(paths: tuple[Path, ...], programs: list[tuple[str, list[str]]]) -> str | None:
    """Who runs a program out of these paths, or was told of one on its command line."""
    if Path(sys.prefix) in paths:
        return "this command"
    texts = [f"{path}{os.sep}" for path in paths]
    for name, line in programs:
        if any(text in argument for argument in line for text in texts):
            return name
    return None


def _piece(kind: Kind, what: str, paths: tuple[Path, ...], used_by: str | None = None) -> Piece:
    return Piece(kind, what, paths, sum(map(_bytes_on_disk, paths)), used_by)


def _bytes_on_disk(path: Path) -> int:
    """What deleting it would free; a file with several names is counted once, and 0 what cannot be looked at."""
    seen: set[tuple[int, int]] = set()
    total, waiting = 0, [path]
    while waiting:
        one = waiting.pop()
        try:
            status = one.lstat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
            if one.is_dir() and not one.is_symlink():
                waiting.extend(one.iterdir())
        except OSError:
            continue
    return total


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
