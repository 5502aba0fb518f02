"""Postgres by TLS: on a real server that demands it, and with somebody who stands in for it."""

import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from sqlalchemy import text

from orders.clients.database import database_engine, postgres_url
from orders.errors import OrdersError, RefusedAtTheDoorError
from orders.installation.tables import ensure_tables
from orders.settings import Settings
from tests.helpers.servers.secure import postgres as pg
from tests.helpers.servers.secure.certificates import PASS_PHRASE, Certificates
from tests.helpers.servers.secure.postgres import SecurePostgres, secure_postgres
from tests.helpers.servers.secure.rogue_postgres import RoguePostgres, rogue_postgres

PASSWORD = "canary-of-the-database"  # noqa: S105 - what nobody may be given


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.make()
    return made


@pytest.fixture(scope="module")
async def postgres(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory, say: Callable[[str], None]
) -> AsyncIterator[SecurePostgres]:
    async with secure_postgres(tmp_path_factory.mktemp("postgres") / "folder", certificates, say) as running:
        yield running


def by_tls(certificates: Certificates, **others: Any) -> dict[str, Any]:
    return {
        "db_tls": "verify-full",
        "db_tls_ca_file": certificates.ca,
        "db_tls_cert_file": certificates.cert("client"),
        "db_tls_key_file": certificates.key("client-encrypted"),
        "db_tls_key_password": PASS_PHRASE,
        **others,
    }


def where(rogue: RoguePostgres) -> dict[str, Any]:
    return {"db_host": "127.0.0.1", "db_port": rogue.port, "db_password": PASSWORD}


async def way_of(settings: Settings) -> tuple[bool, str | None]:
    """Whether the engine's connection is encrypted, and whose certificate the server has seen."""
    async with database_engine(settings, application_name="test") as engine, engine.connect() as connection:
        row = (
            await connection.execute(text("SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
        ).one()
        return row[0], row[1]


async def test_tables_are_made_and_used_by_tls_with_a_client_certificate(
    postgres: SecurePostgres, certificates: Certificates
) -> None:
    known: dict[str, Any] = {name.lower(): value for name, value in postgres.settings.items()}
    settings = Settings(_env_file=None, **{**known, "db_name": pg.MUTUAL, **by_tls(certificates)})
    assert (await ensure_tables(settings)).changed
    assert await way_of(settings) == (True, "/CN=orders")


async def test_a_renewed_password_and_certificate_count_for_the_next_connection(
    postgres: SecurePostgres, certificates: Certificates, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{pg.PASSWORD}\n")
    known: dict[str, Any] = {name.lower(): value for name, value in postgres.settings.items() if name != "DB_PASSWORD"}
    settings = Settings(
        _env_file=None, **{**known, "db_name": pg.MUTUAL, "db_password_file": file, **by_tls(certificates)}
    )
    async with database_engine(settings, application_name="test") as engine, engine.connect() as before:
        await before.execute(text("SELECT 1"))
        await postgres.execute(f"ALTER ROLE {pg.USER} PASSWORD 'renewed'")
        file.write_text("renewed\n")
        certificates.make()
        await postgres.renew()
        async with engine.connect() as another:
            assert (await another.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))).scalar()
        await before.execute(text("SELECT 1"))
    await postgres.execute(f"ALTER ROLE {pg.USER} PASSWORD '{pg.PASSWORD}'")


@pytest.mark.parametrize(
    "password", ["p%w@rd:/?#&=+", " a  b ", "pässwörd-ключ-密码", "it's a \\ and a \" in ${x} %s {0}"]
)
async def test_a_password_of_any_characters_lets_us_in_and_is_shown_to_nobody(
    postgres: SecurePostgres, certificates: Certificates, tmp_path: Path, password: str
) -> None:
    (tmp_path / "password").write_text(f"{password}\n")
    known: dict[str, Any] = {name.lower(): value for name, value in postgres.settings.items() if name != "DB_PASSWORD"}
    known |= {"db_name": pg.MUTUAL, **by_tls(certificates)}
    try:
        doubled = password.replace("'", "''")
        await postgres.execute(f"ALTER ROLE {pg.USER} PASSWORD '{doubled}'")
        for given in ({"db_password": password}, {"db_password_file": tmp_path / "password"}):
            settings = Settings(_env_file=None, **{**known, **given})
            await ensure_tables(settings)
            assert await way_of(settings) == (True, "/CN=orders")
            shown = f"{settings!r} {postgres_url(settings)} {postgres_url(settings)!r}"
            assert password not in shown
            assert quote_plus(password) not in shown
        wrong = Settings(_env_file=None, **{**known, "db_password": f"{password}x"})
        with pytest.raises(RefusedAtTheDoorError) as refused:
            await ensure_tables(wrong)
        told = "".join(traceback.format_exception(refused.value))
        assert "refuses the user 'orders', or the password" in told
        assert password not in told
    finally:
        await postgres.execute(f"ALTER ROLE {pg.USER} PASSWORD '{pg.PASSWORD}'")


@pytest.mark.parametrize("tls", ["verify-ca", "verify-full"])
@pytest.mark.parametrize("speaks_tls", [True, False])
async def test_who_stands_in_between_is_not_given_the_password(
    tls: str, speaks_tls: bool, certificates: Certificates
) -> None:
    rogue_s = certificates.both("foreign-client") if speaks_tls else None
    async with rogue_postgres(rogue_s) as rogue:
        there = where(rogue)
        settings = Settings(_env_file=None, **{**there, **by_tls(certificates, db_tls=tls)})
        with pytest.raises(RefusedAtTheDoorError) as refused:
            await ensure_tables(settings)
        assert refused.value.mistake == ("server_certificate_untrusted" if speaks_tls else "tls_not_spoken")
        with pytest.raises(OSError):  # noqa: PT011 - of whichever kind: what counts is what he was told
            await way_of(settings)
    assert rogue.taken == []


@pytest.mark.parametrize(("tls", "speaks_tls"), [("off", False), ("require", True)])
async def test_without_verification_he_is_given_it_which_is_why_production_refuses_that(
    tls: str, speaks_tls: bool, certificates: Certificates
) -> None:
    async with rogue_postgres(certificates.both("foreign-client") if speaks_tls else None) as rogue:
        there = where(rogue)
        with pytest.raises(OrdersError):
            await ensure_tables(Settings(_env_file=None, **there, db_tls=tls))
    assert any(PASSWORD.encode() in told for told in rogue.taken)


async def test_encryption_that_is_required_is_not_given_up_where_he_says_that_there_is_none() -> None:
    async with rogue_postgres(None) as rogue:
        there = where(rogue)
        with pytest.raises(RefusedAtTheDoorError, match="speaks no TLS"):
            await ensure_tables(Settings(_env_file=None, **there, db_tls="require"))
    assert rogue.taken == []
