"""Certificates and keys in files: read, refused with a sentence that names the setting, and read again when renewed."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import structlog

from orders.errors import WrongSettingsError
from orders.settings import Settings
from orders.settings.secret_files import SUFFIX, present_secret
from orders.small_files import Stamp, stamp_of

_log = structlog.get_logger("orders.tls")

Fingerprint = tuple[Stamp | None, ...]


@dataclass(frozen=True, slots=True)
class TlsNames:
    """The fields of the settings that say which certificates one server is met with."""

    ca: str
    cert: str = ""
    """Empty where the server is shown none."""
    key: str = ""
    key_password: str = ""

    def path(self, settings: Settings, name: str) -> Path | None:
        """The file that one of these fields names; None where it names none."""
        path: Path | None = getattr(settings, name) if name else None
        return path

    def fingerprint(self, settings: Settings) -> Fingerprint:
        """What changes when one of the files does, however it is put into its place."""
        names = (self.ca, self.cert, self.key, f"{self.key_password}{SUFFIX}" if self.key_password else "")
        return fingerprint(self.path(settings, name) for name in names)


KAFKA: Final = TlsNames("kafka_ssl_ca_file", "kafka_ssl_cert_file", "kafka_ssl_key_file", "kafka_ssl_key_password")
KAFKA_OAUTH: Final = TlsNames("kafka_oauth_ca_file")
TEMPORAL: Final = TlsNames(
    "temporal_tls_server_ca_file",
    "temporal_tls_client_cert_file",
    "temporal_tls_client_key_file",
    "temporal_tls_client_key_password",
)
POSTGRES: Final = TlsNames("db_tls_ca_file", "db_tls_cert_file", "db_tls_key_file", "db_tls_key_password")


def fingerprint(paths: Iterable[Path | None]) -> Fingerprint:
    """What tells that a file was written, or that another one stands under its name."""
    return tuple(None if path is None else stamp_of(path) for path in paths)


def make_context(
    settings: Settings, names: TlsNames, *, verified: bool = True, check_name: bool = True, alpn: tuple[str, ...] = ()
) -> ssl.SSLContext:
    """A context for clients, with the files as they are now.

    Args:
        settings: name the files.
        names: of the server's fields.
        verified: whether the server's certificate has to be of an authority that is trusted.
        check_name: whether it has to be for the server's name.
        alpn: the protocols that are offered.

    Raises:
        WrongSettingsError: a file cannot be used; says which, and why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = verified and check_name
    context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if verified:
        _trust(context, settings, names)
    cert, key = names.path(settings, names.cert), names.path(settings, names.key)
    if cert is not None and key is not None:
        _read_pair(settings, names)
        password = present_secret(settings, names.key_password) or ""
        try:
            # With a pass phrase in any case: without one OpenSSL asks for it on the terminal.
            context.load_cert_chain(cert, key, password=lambda: password)
        except (OSError, ssl.SSLError) as error:
            raise WrongSettingsError(
                f"{names.cert.upper()} and {names.key.upper()} cannot be used together: {_why(error)}"
            ) from error
    return context


def _trust(context: ssl.SSLContext, settings: Settings, names: TlsNames) -> None:
    authorities = names.path(settings, names.ca)
    if authorities is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    content = _content(authorities, names.ca)
    try:
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise WrongSettingsError(f"{names.ca.upper()} holds no certificates in PEM form: {authorities}") from error


def client_pair(settings: Settings, names: TlsNames) -> tuple[bytes, bytes] | None:
    """The client's certificate and its key without a pass phrase, both as PEM; None where none is set.

    Raises:
        WrongSettingsError: a file cannot be used; says which, and why.
    """
    if names.path(settings, names.cert) is None or names.path(settings, names.key) is None:
        return None
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    certificate, key = _read_pair(settings, names)
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate, plain


def authorities_of(settings: Settings, names: TlsNames) -> bytes | None:
    """The certificates to trust, as PEM; None for the system's.

    Raises:
        WrongSettingsError: the file cannot be read.
    """
    path = names.path(settings, names.ca)
    return None if path is None else _content(path, names.ca)


def has_expired(settings: Settings, names: TlsNames) -> datetime | None:
    """Since when the client's certificate has not been good any more; None where it is, or none can be read."""
    path = names.path(settings, names.cert)
    if path is None:
        return None
    from cryptography import x509  # noqa: PLC0415 - only where certificates are set

    try:
        end = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
    return end if end < datetime.now(UTC) else None


class RenewedContext(ssl.SSLContext):
    """A context whose new connections take the files as they are by then. Connections that are open stay as they are.

    A file that was renewed only in part, as when the key does not fit the certificate yet, changes nothing: the former
    ones stay in use until all of them fit.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Makes the context that its users see; another one does its work."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, settings: Settings, names: TlsNames, **options: Any) -> None:
        """Reads the files for the first time.

        Args:
            settings: name the files.
            names: of the server's fields.
            options: of `make_context`.

        Raises:
            WrongSettingsError: a file cannot be used.
        """
        self._settings, self._names, self._options = settings, names, options
        self._seen = self._refused = names.fingerprint(settings)
        self._present = make_context(settings, names, **options)
        self.check_hostname, self.verify_mode = self._present.check_hostname, self._present.verify_mode

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext`: asyncio calls it once for each connection."""
        return self._renewed().wrap_bio(*arguments, **options)

    def _renewed(self) -> ssl.SSLContext:
        seen = self._names.fingerprint(self._settings)
        if seen not in (self._seen, self._refused):
            try:
                self._present = make_context(self._settings, self._names, **self._options)
                self._seen = self._refused = seen
                _log.info("tls.files.renewed", settings=_named(self._settings, self._names))
            except WrongSettingsError as error:
                self._refused = seen
                _log.error(
                    "tls.files.unusable", detail=str(error), action="correct it; the former ones stay in use until then"
                )
        return self._present


def _named(settings: Settings, names: TlsNames) -> list[str]:
    return [one.upper() for one in (names.ca, names.cert, names.key) if names.path(settings, one) is not None]


def _content(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongSettingsError(f"{name.upper()} cannot be read: {error.strerror}") from error


def _read_pair(settings: Settings, names: TlsNames) -> tuple[bytes, Any]:
    """The certificate's bytes and its key; each is looked at by itself, so that what is wrong can be named."""
    from cryptography import x509  # noqa: PLC0415 - only where certificates are set

    cert, key = getattr(settings, names.cert), getattr(settings, names.key)
    certificate, encoded = _content(cert, names.cert), _content(key, names.key)
    try:
        first = x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise WrongSettingsError(f"{names.cert.upper()} holds no certificate in PEM form: {cert}") from error
    private = _private_key(encoded, settings, names)
    if private.public_key() != first.public_key():
        raise WrongSettingsError(
            f"{names.key.upper()} is not the key of the certificate in {names.cert.upper()}: "
            "name the files of one pair; the certificate comes first in its file"
        )
    return certificate, private


def _private_key(encoded: bytes, settings: Settings, names: TlsNames) -> Any:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    secret = present_secret(settings, names.key_password)
    password_name = names.key_password.upper()
    try:
        return serialization.load_pem_private_key(encoded, None if secret is None else secret.encode())
    except TypeError:
        if secret is None:
            raise WrongSettingsError(
                f"{names.key.upper()} holds an encrypted key: set {password_name} or {password_name}_FILE to its "
                "pass phrase"
            ) from None
        raise WrongSettingsError(
            f"{password_name} is set, but the key in {names.key.upper()} is not encrypted: unset it"
        ) from None
    except ValueError:
        if secret is not None and b"ENCRYPTED" in encoded:
            raise WrongSettingsError(
                f"{password_name} is not the pass phrase of the key in {names.key.upper()}"
            ) from None
        raise WrongSettingsError(f"{names.key.upper()} holds no private key in PEM form") from None


def _why(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or type(error).__name__
