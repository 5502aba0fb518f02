"""How Kafka is told who we are: the options by which every client of it is encrypted and let in."""

from typing import Any

from orders.clients.tls_files import KAFKA, RenewedContext
from orders.settings import Settings
from orders.settings.secret_files import present_secret


def kafka_security(settings: Settings) -> dict[str, Any]:
    """The options for encryption and credentials, the same for every Kafka client.

    Certificates, and passwords in files, are read again for each connection, once they have changed, and tokens are
    renewed.

    Raises:
        WrongSettingsError: a certificate or a password cannot be read.
    """
    options: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_sasl_mechanism == "OAUTHBEARER":
        from orders.clients.kafka_tokens import (  # noqa: PLC0415 - brings an HTTP client along
            ProviderTokens,
            check_answers_to_tokens,
        )

        check_answers_to_tokens()
        options |= {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": ProviderTokens(settings)}
    elif settings.kafka_sasl_mechanism:
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": _password(settings),
        }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = RenewedContext(settings, KAFKA)
    return options


def _password(settings: Settings) -> Any:
    if settings.kafka_sasl_password_file is None:
        return present_secret(settings, "kafka_sasl_password")
    from orders.clients.kafka_passwords import RenewedPassword, read_passwords_anew  # noqa: PLC0415 - as tokens

    read_passwords_anew()
    return RenewedPassword(settings)
