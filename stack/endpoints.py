"""Where the three servers answer: the one value that ``stack`` gives."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

# Without one of these the environment names no complete set of servers, and another source is asked.
REQUIRED_VARIABLES = ("KAFKA_BOOTSTRAP_SERVERS", "TEMPORAL_HOST", "DB_HOST")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of Kafka, Temporal and PostgreSQL, with the names and the password that the database wants.

    Attributes:
        kafka_bootstrap_servers: ``host:port``, or several of them with commas between.
        temporal_host: ``host:port`` of Temporal's gRPC frontend.
        temporal_ui_url: Where a browser finds Temporal's UI; None where it is not known.
        db_host: PostgreSQL's host.
        db_port: PostgreSQL's port.
        db_user: The role that the application logs in as; it may create databases.
        db_password: That role's password.
        db_name: The database that the application uses.
    """

    kafka_bootstrap_servers: str
    temporal_host: str
    temporal_ui_url: str | None
    db_host: str
    db_port: int
    db_user: str
    db_password: str
    db_name: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self | None:
        """Reads the endpoints from environment variables.

        Args:
            environment: The variables to read; None means this process's.

        Returns:
            The endpoints, or None unless all three servers are named.

        Raises:
            ValueError: ``DB_PORT`` is set and is not a port number.
        """
        variables = os.environ if environment is None else environment
        if not all(variables.get(name) for name in REQUIRED_VARIABLES):
            return None
        return cls(
            kafka_bootstrap_servers=variables["KAFKA_BOOTSTRAP_SERVERS"],
            temporal_host=variables["TEMPORAL_HOST"],
            temporal_ui_url=variables.get("TEMPORAL_UI_URL") or None,
            db_host=variables["DB_HOST"],
            db_port=_port(variables.get("DB_PORT") or "5432"),
            db_user=variables.get("DB_USER") or "orders",
            db_password=variables.get("DB_PASSWORD") or "orders",
            db_name=variables.get("DB_NAME") or "orders",
        )

    def as_environment(self) -> dict[str, str]:
        """Gives the endpoints under the application's setting names, to hand to a process or to print."""
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
            "TEMPORAL_HOST": self.temporal_host,
            "DB_HOST": self.db_host,
            "DB_PORT": str(self.db_port),
            "DB_USER": self.db_user,
            "DB_PASSWORD": self.db_password,
            "DB_NAME": self.db_name,
        }
        if self.temporal_ui_url is not None:
            environment["TEMPORAL_UI_URL"] = self.temporal_ui_url
        return environment


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:  # noqa: PLR2004 -- the range of a port
        raise ValueError(f"DB_PORT is {text!r}; set it to a port number from 1 to 65535, or unset it for 5432")
    return int(text)
