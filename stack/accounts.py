"""Whom PostgreSQL runs as: it refuses to be root, and then needs folders that its own account can reach."""

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from stack.errors import StackError
from stack.files import write_atomically
from stack.paths import PROJECT
from stack.processes import Account

# Only used by root, for files that an account beside root must reach: root's own folders are often closed to others,
# and opening them (as other programs do, without asking) would be no improvement.
SHARED_STATE_DIR = Path("/var/lib") / PROJECT
CANDIDATES = ("postgres", "nobody")


def postgres_account() -> Account | None:
    """The account that PostgreSQL's processes have; None if it is our own.

    Raises:
        StackError: We are root, and there is no account beside root's.
    """
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL refuses to run as root, and this system has neither a user 'postgres' nor 'nobody'; "
        "add one (useradd --system postgres), or run this as an ordinary user"
    )


def reachable_dir(folder: Path, account: Account | None) -> Path:
    """Gives a folder for an account's files: the one that is wished for, if the account can reach it.

    Args:
        folder: The folder that is wished for; made, and owned by the account, if it can be.
        account: Who must reach it; None means ourselves, who can.

    Returns:
        The folder, or one of ``SHARED_STATE_DIR`` that is always the same for the wished one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if account is None:
        return folder
    if not can_read(folder, account):
        folder = _shared_dir(folder.resolve())
    os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)
    return folder


def _shared_dir(wished: Path) -> Path:
    """The folder that stands for one which the account cannot reach; those whose own folder was deleted go."""
    SHARED_STATE_DIR.mkdir(parents=True, exist_ok=True)
    for note in SHARED_STATE_DIR.glob("*.of"):
        left = note.with_suffix("")
        try:
            stands_for = Path(note.read_text())
        except FileNotFoundError:
            continue  # Another process that starts now has been quicker.
        # A folder with this file has a server that runs, or was killed and may be started again.
        if not stands_for.exists() and not (left / "data" / "postmaster.pid").exists():
            shutil.rmtree(left, ignore_errors=True)
            note.unlink(missing_ok=True)
    folder = SHARED_STATE_DIR / hashlib.sha256(str(wished).encode()).hexdigest()[:16]
    write_atomically(folder.with_suffix(".of"), str(wished))
    folder.mkdir(exist_ok=True)
    return folder


def can_read(path: Path, account: Account) -> bool:
    """Says whether an account reaches a folder or a file and may read it, by trying it as that account."""
    script = 'test -r "$1" && { test ! -d "$1" || test -x "$1"; }'
    outcome = subprocess.run(  # noqa: S603 -- our own command line
        ["/bin/sh", "-c", script, "sh", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return outcome.returncode == 0
