"""The password of Kafka's user (SASL PLAIN and SCRAM) as it is now: read again for each connection, from its file."""

from typing import Any

import aiokafka.conn
import structlog

from orders.errors import WrongSettingsError
from orders.settings import Settings
from orders.settings.secret_files import present_secret

_NAME = "kafka_sasl_password"

_log = structlog.get_logger("orders.kafka_passwords")


class RenewedPassword:
    """What aiokafka is given in a password's place, and hands to whoever opens a connection.

    A file that cannot be read changes nothing: the password that was read last stays in use.
    """

    def __init__(self, settings: Settings) -> None:
        """Reads the file for the first time.

        Raises:
            WrongSettingsError: it cannot be read.
        """
        self._settings = settings
        self._last = present_secret(settings, _NAME) or ""

    def now(self) -> str:
        """The password."""
        try:
            present = present_secret(self._settings, _NAME) or ""
        except WrongSettingsError as error:
            _log.error(
                "kafka.password.unusable",
                detail=str(error),
                action="correct it; the former one stays in use until then",
            )
            return self._last
        if present != self._last:
            self._last = present
            _log.info("kafka.password.renewed", setting="KAFKA_SASL_PASSWORD_FILE")
        return self._last


def _present(password: Any) -> Any:
    return password.now() if isinstance(password, RenewedPassword) else password


class _Plain(aiokafka.conn.SaslPlainAuthenticator):  # type: ignore[misc]  # aiokafka ships no types.
    """Reads the password when the connection is opened."""

    def __init__(self, *, sasl_plain_password: Any, **others: Any) -> None:
        super().__init__(sasl_plain_password=_present(sasl_plain_password), **others)


class _Scram(aiokafka.conn.ScramAuthenticator):  # type: ignore[misc]  # aiokafka ships no types.
    """Reads the password when the connection is opened."""

    def __init__(self, *, sasl_plain_password: Any, **others: Any) -> None:
        super().__init__(sasl_plain_password=_present(sasl_plain_password), **others)


def read_passwords_anew() -> None:
    """Has every connection of aiokafka in this process, which takes one text for good, look at `RenewedPassword`."""
    aiokafka.conn.SaslPlainAuthenticator = _Plain
    aiokafka.conn.ScramAuthenticator = _Scram
