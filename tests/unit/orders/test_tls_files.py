"""Certificates and keys: what cannot be used is named, and what is renewed is taken for the next connection."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from structlog.testing import capture_logs
from temporalio.service import ConnectConfig

from orders.clients.renewed_temporal import OutlastsConnections
from orders.clients.tls_files import KAFKA, RenewedContext, client_pair, has_expired, make_context
from orders.errors import WrongSettingsError
from orders.settings import Settings
from tests.helpers.servers.secure.certificates import PASS_PHRASE, Certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path)
    made.make()
    return made


def settings_of(certificates: Certificates, cert: str = "client", key: str = "client", **others: Any) -> Settings:
    return Settings(_env_file=None).model_copy(
        update={
            "kafka_ssl_ca_file": certificates.ca,
            "kafka_ssl_cert_file": certificates.cert(cert),
            "kafka_ssl_key_file": certificates.key(key),
            **others,
        }
    )


def test_an_encrypted_key_is_read_with_its_pass_phrase_and_nobody_is_asked_for_one(certificates: Certificates) -> None:
    with pytest.raises(
        WrongSettingsError, match="KAFKA_SSL_KEY_FILE holds an encrypted key: set KAFKA_SSL_KEY_PASSWORD"
    ):
        make_context(settings_of(certificates, key="client-encrypted"), KAFKA)
    wrong = settings_of(certificates, key="client-encrypted", kafka_ssl_key_password=SecretStr("wrong"))
    with pytest.raises(
        WrongSettingsError, match="KAFKA_SSL_KEY_PASSWORD is not the pass phrase of the key in KAFKA_SSL"
    ):
        make_context(wrong, KAFKA)
    right = settings_of(certificates, key="client-encrypted", kafka_ssl_key_password=SecretStr(PASS_PHRASE))
    assert make_context(right, KAFKA).verify_mode is ssl.CERT_REQUIRED
    pair = client_pair(right, KAFKA)
    assert pair is not None
    assert b"ENCRYPTED" not in pair[1]
    needless = settings_of(certificates, kafka_ssl_key_password=SecretStr(PASS_PHRASE))
    with pytest.raises(WrongSettingsError, match=r"KAFKA_SSL_KEY_PASSWORD is set, but .* is not encrypted: unset it"):
        make_context(needless, KAFKA)


@pytest.mark.parametrize(
    ("cert", "key", "sentence"),
    [
        ("client", "foreign-client", "KAFKA_SSL_KEY_FILE is not the key of the certificate in KAFKA_SSL_CERT_FILE"),
        ("none", "client", "KAFKA_SSL_CERT_FILE cannot be read: No such file or directory"),
        ("text", "client", "KAFKA_SSL_CERT_FILE holds no certificate in PEM form"),
        ("client", "text", "KAFKA_SSL_KEY_FILE holds no private key in PEM form"),
    ],
)
def test_files_that_are_no_pair_are_named(certificates: Certificates, cert: str, key: str, sentence: str) -> None:
    for path in (certificates.cert("text"), certificates.key("text")):
        path.write_text("no PEM")
    with pytest.raises(WrongSettingsError, match=sentence):
        make_context(settings_of(certificates, cert, key), KAFKA)


def test_authorities_that_are_none_are_named(certificates: Certificates) -> None:
    certificates.ca.write_text("no PEM")
    with pytest.raises(WrongSettingsError, match="KAFKA_SSL_CA_FILE holds no certificates in PEM form"):
        make_context(settings_of(certificates), KAFKA)


def test_a_pair_that_is_too_weak_for_openssl_is_named_with_its_reason(certificates: Certificates) -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too weak is what it is for
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = serialization.Encoding.PEM
    certificates.cert("weak").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    certificates.key("weak").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(WrongSettingsError, match="KAFKA_SSL_KEY_FILE cannot be used together: EE_KEY_TOO_SMALL"):
        make_context(settings_of(certificates, "weak", "weak"), KAFKA)


def test_a_certificate_that_has_expired_is_told_from_one_that_has_not(certificates: Certificates) -> None:
    assert has_expired(settings_of(certificates), KAFKA) is None
    assert has_expired(settings_of(certificates, "expired-client", "expired-client"), KAFKA) is not None


def test_a_certificate_that_cannot_be_read_has_not_expired(certificates: Certificates) -> None:
    certificates.cert("text").write_text("no PEM")
    for settings in (
        settings_of(certificates, "none"),
        settings_of(certificates, "text"),
        settings_of(certificates, kafka_ssl_cert_file=None),
    ):
        assert has_expired(settings, KAFKA) is None


async def test_temporal_s_files_that_cannot_be_used_are_told_once_and_the_former_connection_stays(
    certificates: Certificates,
) -> None:
    settings = Settings(_env_file=None).model_copy(
        update={
            "temporal_tls": True,
            "temporal_tls_client_cert_file": certificates.cert("client"),
            "temporal_tls_client_key_file": certificates.key("client"),
        }
    )
    connected: list[ConnectConfig] = []

    async def connect(config: ConnectConfig) -> Any:
        connected.append(config)

    service: Any = await OutlastsConnections(settings).connect_service_client(
        ConnectConfig(target_host="127.0.0.1:1"), connect
    )
    good = certificates.key("client").read_text()
    with capture_logs() as lines:
        certificates.key("client").write_text("half written")
        assert [await service.renew(), await service.renew()] == [False, False]
        assert (len(connected), service.renewals) == (1, 0)
        certificates.key("client").write_text(good)
        assert await service.renew()
    assert (len(connected), service.renewals) == (2, 1)
    assert [line["event"] for line in lines] == ["temporal.credentials.unusable", "temporal.credentials.renewed"]
    assert lines[0]["detail"] == "TEMPORAL_TLS_CLIENT_KEY_FILE holds no private key in PEM form"


def shake_hands(client: ssl.SSLContext, certificates: Certificates) -> bytes:
    """One handshake without a network; returns the client's certificate, as the server has seen it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates.both("server"))
    server.load_verify_locations(certificates.ca)
    server.verify_mode = ssl.CERT_REQUIRED
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = there.getpeercert(binary_form=True)
    assert found is not None
    return found


def test_the_next_connection_takes_what_was_renewed(certificates: Certificates) -> None:
    context = RenewedContext(settings_of(certificates), KAFKA)
    assert context.check_hostname
    first = shake_hands(context, certificates)
    assert shake_hands(context, certificates) == first
    certificates.make()
    assert shake_hands(context, certificates) != first, "with another authority on both sides"


def test_what_is_renewed_in_part_changes_nothing_until_it_fits(certificates: Certificates) -> None:
    context = RenewedContext(settings_of(certificates), KAFKA)
    first = shake_hands(context, certificates)
    key = certificates.key("client").read_bytes()
    certificates.key("client").write_bytes(certificates.key("foreign-client").read_bytes())
    assert shake_hands(context, certificates) == first
    certificates.key("client").write_bytes(key)
    assert shake_hands(context, certificates) == first
