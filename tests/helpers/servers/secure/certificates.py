"""Certificates, made in the test that needs them: two authorities, and what they sign, good and bad. None is kept."""

import datetime as dt
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PASS_PHRASE = "a pass phrase of the tests"  # noqa: S105 - of keys that live as long as the test
_PEM, _PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates."""

    name: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def certificate(self) -> x509.Certificate:
        """Its own, which clients and servers trust."""
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        return (
            _builder(self.name, self.name, self.key, (-300, 30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(usage, critical=True)
            .sign(self.key, hashes.SHA256())
        )


@dataclass(frozen=True, slots=True)
class Certificates:
    """A folder of PEM files. `renew` writes others in their place, by a new authority."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The authority that servers and clients trust."""
        return self.folder / "ca.pem"

    @property
    def other_ca(self) -> Path:
        """One that none of the good ones is of."""
        return self.folder / "other-ca.pem"

    def cert(self, name: str) -> Path:
        """A certificate: server, other-name, expired-server, client, expired-client, foreign-client."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Its key; ``client-encrypted`` is the client's with a pass phrase."""
        return self.folder / f"{name}.key"

    def both(self, name: str) -> Path:
        """Key and certificate in one file, as Kafka wants it."""
        return self.folder / f"{name}.pem"

    def make(self, *, common_name: str = "orders") -> None:
        """Writes all of them anew."""
        self.folder.mkdir(parents=True, exist_ok=True)
        good, other = Authority("authority of the tests"), Authority("authority of somebody else")
        _write(self.ca, good.certificate.public_bytes(_PEM))
        _write(self.other_ca, other.certificate.public_bytes(_PEM))
        here: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        servers: tuple[tuple[str, list[x509.GeneralName], tuple[int, int]], ...] = (
            ("server", here, (-1, 20)),
            ("other-name", [x509.DNSName("elsewhere.test")], (-1, 20)),
            ("expired-server", here, (-60, -10)),
        )
        for name, names, span in servers:
            self._leaf(name, good, "server of the tests", names, span)
        for name, authority, span in (
            ("client", good, (-1, 20)),
            ("expired-client", good, (-60, -10)),
            ("foreign-client", other, (-1, 20)),
        ):
            self._leaf(name, authority, common_name, [], span)

    def _leaf(
        self, name: str, by: Authority, common_name: str, names: list[x509.GeneralName], span: tuple[int, int]
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = _builder(common_name, by.name, key, span).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(by.key, hashes.SHA256()).public_bytes(_PEM)
        plain = key.private_bytes(_PEM, _PKCS8, serialization.NoEncryption())
        _write(self.both(name), plain + certificate)
        _write(self.key(name), plain)
        _write(self.cert(name), certificate)
        if name == "client":
            locked = serialization.BestAvailableEncryption(PASS_PHRASE.encode())
            _write(self.key("client-encrypted"), key.private_bytes(_PEM, _PKCS8, locked))


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, span: tuple[int, int]
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + span[0] * _DAY)
        .not_valid_after(now + span[1] * _DAY)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write(path: Path, content: bytes) -> None:
    """As orchestrators do: whole, or not at all."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.chmod(0o600)
    draft.replace(path)


def tls_settings(certificates: Certificates) -> dict[str, str]:
    """What our settings are to reach all three servers by mutual TLS."""
    ca, cert, key = map(str, (certificates.ca, certificates.cert("client"), certificates.key("client")))
    return {
        "TEMPORAL_TLS": "true",
        "TEMPORAL_TLS_SERVER_CA_FILE": ca,
        "TEMPORAL_TLS_CLIENT_CERT_FILE": cert,
        "TEMPORAL_TLS_CLIENT_KEY_FILE": key,
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_SSL_CA_FILE": ca,
        "KAFKA_SSL_CERT_FILE": cert,
        "KAFKA_SSL_KEY_FILE": key,
        "DB_TLS": "verify-full",
        "DB_TLS_CA_FILE": ca,
        "DB_TLS_CERT_FILE": cert,
        "DB_TLS_KEY_FILE": key,
    }
