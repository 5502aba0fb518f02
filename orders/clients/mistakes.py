"""What keeps a client out, told apart: each mistake has its own sentence, and says what a person can do.

This is the one place for these sentences. `orders.clients.doors` finds out which of the mistakes it is, by knocking at
the server; docs/security.md has the table, and a test holds it to this one. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Server(StrEnum):
    """A server that wants to know who we are."""

    TEMPORAL = "Temporal"
    KAFKA = "Kafka"
    POSTGRES = "Postgres"


class Mistake(StrEnum):
    """Why a server and a client of ours do not come together. Its value is what logs and `--json` say."""

    TLS_REQUIRED = "tls_required"
    TLS_NOT_SPOKEN = "tls_not_spoken"
    SERVER_UNTRUSTED = "server_certificate_untrusted"
    SERVER_EXPIRED = "server_certificate_expired"
    SERVER_NAME = "server_certificate_of_another_name"
    CLIENT_MISSING = "client_certificate_missing"
    CLIENT_EXPIRED = "client_certificate_expired"
    CLIENT_REFUSED = "client_certificate_refused"
    CREDENTIALS_REFUSED = "credentials_refused"
    SASL_REQUIRED = "sasl_required"
    SASL_NOT_SPOKEN = "sasl_not_spoken"
    MECHANISM = "sasl_mechanism_not_offered"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - the name of a mistake
    TOKEN_NOT_GIVEN = "token_not_given"  # noqa: S105 - likewise
    LOGIN_NOT_ALLOWED = "login_not_allowed"
    NOT_ALLOWED = "right_missing"
    PLACE_MISSING = "namespace_or_database_missing"


class TokenNotGivenError(OSError):
    """The OpenID provider gave no token. An `OSError`: aiokafka takes it as a failed connection, and tries again."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table; both texts have places for what differs, such as ``{address}``."""

    sentence: str
    action: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A mistake at one server, in words for a person."""

    server: Server
    mistake: Mistake
    sentence: str
    action: str

    def __str__(self) -> str:
        """The sentence, and what to do."""
        return f"{self.sentence}: {self.action}"


@dataclass(frozen=True, slots=True)
class _Names:
    """The settings of one server, for the rows that all servers have."""

    tls: str
    """How TLS is asked for."""
    plain: str
    address: str
    ca: str
    cert: str
    key: str


_NAMES: Final = {
    Server.TEMPORAL: _Names(
        "TEMPORAL_TLS=true",
        "TEMPORAL_TLS=false",
        "TEMPORAL_HOST",
        "TEMPORAL_TLS_SERVER_CA_FILE",
        "TEMPORAL_TLS_CLIENT_CERT_FILE",
        "TEMPORAL_TLS_CLIENT_KEY_FILE",
    ),
    Server.KAFKA: _Names(
        "KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL",
        "KAFKA_SECURITY_PROTOCOL to PLAINTEXT or SASL_PLAINTEXT",
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_SSL_CA_FILE",
        "KAFKA_SSL_CERT_FILE",
        "KAFKA_SSL_KEY_FILE",
    ),
    Server.POSTGRES: _Names(
        "DB_TLS=verify-full", "DB_TLS=off", "DB_HOST", "DB_TLS_CA_FILE", "DB_TLS_CERT_FILE", "DB_TLS_KEY_FILE"
    ),
}


def _common(server: Server) -> dict[Mistake, Row]:
    """What can go wrong with certificates, the same for every server."""
    name, at = server.value, f"{server.value} at {{address}}"
    names = _NAMES[server]
    return {
        Mistake.TLS_REQUIRED: Row(f"{at} wants TLS, and is spoken to in plain text", f"set {names.tls}"),
        Mistake.TLS_NOT_SPOKEN: Row(
            f"{at} speaks no TLS", f"have it speak TLS there, correct {names.address}, or set {names.plain}"
        ),
        Mistake.SERVER_UNTRUSTED: Row(
            f"{at} has a certificate of an authority that is not trusted here",
            f"put the authority's certificate into {names.ca}; if {name} is ours, somebody else may stand in between",
        ),
        Mistake.SERVER_EXPIRED: Row(
            f"{at} has a certificate that has expired, or is not valid yet",
            "have it renewed there; if it is valid, this machine's clock is wrong",
        ),
        Mistake.SERVER_NAME: Row(
            f"{at} has a certificate for another name",
            f"set {names.address} to a name that the certificate has, or have this one put into it",
        ),
        Mistake.CLIENT_MISSING: Row(
            f"{at} asks for a client certificate, and is shown none", f"set {names.cert} and {names.key}"
        ),
        Mistake.CLIENT_EXPIRED: Row(
            f"the client certificate for {name} has expired", f"renew it in {names.cert}; it is read again by itself"
        ),
        Mistake.CLIENT_REFUSED: Row(
            f"{at} refuses the client certificate",
            f"put one of an authority that {name} trusts into {names.cert}, with its key in {names.key}",
        ),
    }


TABLE: Final[dict[Server, dict[Mistake, Row]]] = {
    Server.TEMPORAL: {
        **_common(Server.TEMPORAL),
        Mistake.CREDENTIALS_REFUSED: Row(
            "Temporal refused the credentials: {address} does not know the API key, or is shown none",
            "set TEMPORAL_API_KEY (or TEMPORAL_API_KEY_FILE) to a key that it knows and that has not ended",
        ),
        Mistake.NOT_ALLOWED: Row(
            "Temporal refused the credentials the namespace {place}",
            "give the API key or the client certificate the right to write there, or correct TEMPORAL_NAMESPACE",
        ),
        Mistake.PLACE_MISSING: Row(
            "Temporal has no namespace {place}", "create it, or set TEMPORAL_NAMESPACE to one that it has"
        ),
    },
    Server.KAFKA: {
        **_common(Server.KAFKA),
        Mistake.CREDENTIALS_REFUSED: Row(
            "Kafka at {address} refuses the user {user}, or the password",
            "correct KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)",
        ),
        Mistake.SASL_REQUIRED: Row(
            "Kafka at {address} wants to know who we are (SASL), and is not told",
            "set KAFKA_SECURITY_PROTOCOL to SASL_SSL, with KAFKA_SASL_MECHANISM and what it needs",
        ),
        Mistake.SASL_NOT_SPOKEN: Row(
            "Kafka at {address} takes no user and password (SASL) on this port",
            "correct the port in KAFKA_BOOTSTRAP_SERVERS, or set KAFKA_SECURITY_PROTOCOL to SSL",
        ),
        Mistake.MECHANISM: Row(
            "Kafka at {address} does not offer the mechanism {mechanism}",
            "set KAFKA_SASL_MECHANISM to one that it offers: {offered}",
        ),
        Mistake.TOKEN_REFUSED: Row(
            "Kafka at {address} refuses the token of the OpenID provider",
            "ask for one for Kafka (KAFKA_OAUTH_AUDIENCE, KAFKA_OAUTH_SCOPE), or have Kafka trust the provider",
        ),
        Mistake.TOKEN_NOT_GIVEN: Row(
            "the OpenID provider at {provider} gives no token for Kafka ({detail})",
            "check KAFKA_OAUTH_TOKEN_URL, KAFKA_OAUTH_CLIENT_ID and KAFKA_OAUTH_CLIENT_SECRET",
        ),
        Mistake.NOT_ALLOWED: Row(
            "Kafka does not let the user {user} use {place}",
            "give it the right to do so, or correct the names in KAFKA_TOPIC_… and BRIDGE_GROUP_ID",
        ),
    },
    Server.POSTGRES: {
        **_common(Server.POSTGRES),
        Mistake.CREDENTIALS_REFUSED: Row(
            "Postgres at {address} refuses the user {user}, or the password",
            "correct DB_USER and DB_PASSWORD (or DB_PASSWORD_FILE)",
        ),
        Mistake.LOGIN_NOT_ALLOWED: Row(
            "Postgres at {address} does not let the user {user} into the database {place} from here this way",
            "have a line for it put into the server's pg_hba.conf, or correct DB_USER and DB_NAME",
        ),
        Mistake.PLACE_MISSING: Row(
            "Postgres at {address} has no database {place}", "create it, or set DB_NAME to one that it has"
        ),
        Mistake.NOT_ALLOWED: Row(
            "Postgres does not let the user {user} use our tables in the database {place}",
            "run `orders migrate` with DB_ROLE_WORKER, DB_ROLE_API, DB_ROLE_READER or DB_ROLE_KEEPER naming the role",
        ),
    },
}
"""Every mistake at every server."""


def diagnosis(server: Server, mistake: Mistake, **places: str) -> Diagnosis:
    """The words for a mistake.

    Args:
        server: where.
        mistake: which.
        places: what the row has places for, such as the address.
    """
    row = TABLE[server][mistake]
    return Diagnosis(server, mistake, row.sentence.format(**places), row.action.format(**places))
