"""Settings of Postgres."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field, SecretStr

from orders.settings.contradictions import half_a_pair, unused
from orders.settings.types import Count, Name, Port, Seconds, secret_file


class DatabaseTls(StrEnum):
    """How the way to Postgres is kept safe. There is no "prefer": whoever stands in between would choose."""

    OFF = "off"
    REQUIRE = "require"
    """Encrypted, to whoever answers: it keeps out who listens, and nobody who stands in between."""
    VERIFY_CA = "verify-ca"
    """With a certificate of an authority that is trusted, for whatever name."""
    VERIFY_FULL = "verify-full"
    """With such a certificate for this host's name."""


class DatabaseSettings(BaseModel):
    """The application's Postgres."""

    db_user: Name = Field("orders", description="Postgres user.")
    db_password: SecretStr | None = Field(None, description="Its password.")
    db_password_file: Path | None = secret_file("DB_PASSWORD")
    db_host: Name = Field("127.0.0.1", description="Postgres host.")
    db_port: Port = Field(5432, description="Postgres port.")
    db_name: Name = Field("orders", description="Postgres database.")
    db_tls: DatabaseTls = Field(
        DatabaseTls.OFF,
        description=(
            "off; require: encrypted, to whoever answers; verify-ca: with a certificate of a trusted authority; "
            "verify-full: with one for DB_HOST, which is what production needs."
        ),
    )
    db_tls_ca_file: Path | None = Field(None, description="CA certificates (PEM) to trust instead of the system's.")
    db_tls_cert_file: Path | None = Field(None, description="Client certificate (PEM) for mutual TLS.")
    db_tls_key_file: Path | None = Field(None, description="The client certificate's private key (PEM).")
    db_tls_key_password: SecretStr | None = Field(
        None, description="The pass phrase of that key, where it is encrypted."
    )
    db_tls_key_password_file: Path | None = secret_file("DB_TLS_KEY_PASSWORD")
    db_role_worker: Name | None = Field(
        None,
        description="Role of Postgres by which workers log in: `orders migrate` grants it what they need, and takes "
        "away what it had beyond. Unset, nothing is granted.",
    )
    db_role_api: Name | None = Field(None, description="The same for the API.")
    db_role_reader: Name | None = Field(None, description="The same for bridges, and commands that only look.")
    db_role_keeper: Name | None = Field(None, description="The same for `orders archive` and `orders forget`.")
    db_pool_size: Count | None = Field(
        None,
        description="Most connections that one process holds; there are none beyond. Unset, a worker holds one for "
        "each five of its activities at once (WORKER_CONCURRENT_ACTIVITIES, on each of its task queues), and any "
        "other process 10.",
    )
    db_connect_timeout_seconds: Seconds = Field(
        2, description="How long to try to connect, or to wait for a free connection, before Postgres counts as down."
    )
    db_statement_timeout_seconds: float = Field(
        3, gt=0, le=3.5, description="Longest that one statement may take; so long, at most, may a whole transaction."
    )
    db_lock_timeout_seconds: Seconds = Field(2, description="Longest that one statement may wait for a lock.")

    @property
    def db_roles(self) -> dict[str, str]:
        """The role of each kind for which one is set."""
        named = {"worker": self.db_role_worker, "api": self.db_role_api, "reader": self.db_role_reader}
        return {kind: role for kind, role in (*named.items(), ("keeper", self.db_role_keeper)) if role is not None}


_FILES = ("db_tls_ca_file", "db_tls_cert_file", "db_tls_key_file", "db_tls_key_password", "db_tls_key_password_file")


def contradictions(settings: DatabaseSettings) -> Iterator[str]:
    """A sentence for each pair of these settings that cannot both be meant."""
    if settings.db_tls is DatabaseTls.OFF:
        yield from unused(settings, _FILES, "DB_TLS=off")
    if settings.db_tls is DatabaseTls.REQUIRE:
        yield from unused(settings, ["db_tls_ca_file"], "DB_TLS=require")
    roles = list(settings.db_roles.values())
    if len(set(roles)) < len(roles):
        yield "DB_ROLE_WORKER, DB_ROLE_API, DB_ROLE_READER and DB_ROLE_KEEPER name one role twice: each needs its own"
    yield from half_a_pair(settings, "db_tls_cert_file", "db_tls_key_file")
