"""The settings as one frozen model, made of a group for each part.

A field's name in upper case is the setting's name; its description is its meaning, a sentence for a person who runs the
system, and what ``.env.example`` says. A setting is a line in its group's file.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orders.settings import (
    api,
    bridge,
    database,
    general,
    identity,
    kafka,
    order,
    production,
    secret_files,
    signatures,
    temporal,
    worker,
)
from orders.settings.api import ApiSettings
from orders.settings.bridge import BridgeSettings
from orders.settings.contradictions import too_short
from orders.settings.database import DatabaseSettings
from orders.settings.gateways import GatewaySettings
from orders.settings.general import GeneralSettings
from orders.settings.identity import IdentitySettings
from orders.settings.kafka import KafkaSettings
from orders.settings.order import OrderSettings
from orders.settings.production import GuardedSettings
from orders.settings.retention import RetentionSettings
from orders.settings.signatures import SignatureSettings
from orders.settings.telemetry import TelemetrySettings
from orders.settings.temporal import TemporalSettings
from orders.settings.worker import WorkerSettings

if TYPE_CHECKING:
    from orders.mapping import OrderMapping

STOP_TIMEOUT_SECONDS = 25.0
"""A process that is told to stop has stopped by then: below the 30 s after which orchestrators kill (I13)."""

ENDPOINT_SETTINGS = ("kafka_bootstrap_servers", "temporal_host", "db_host")
"""Where none of these is set, commands use a running local stack."""

GROUPS = (
    GeneralSettings,
    TemporalSettings,
    KafkaSettings,
    DatabaseSettings,
    BridgeSettings,
    OrderSettings,
    SignatureSettings,
    GatewaySettings,
    WorkerSettings,
    ApiSettings,
    IdentitySettings,
    RetentionSettings,
    TelemetrySettings,
)
"""In the order in which they are documented."""


class Settings(
    GuardedSettings,
    OrderSettings,
    SignatureSettings,
    WorkerSettings,
    ApiSettings,
    IdentitySettings,
    RetentionSettings,
    TelemetrySettings,
    BaseSettings,
):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    def order_mapping(self) -> "OrderMapping":
        """What the records of the inbound topics mean, and the calls that events become.

        Raises:
            WrongSettingsError: the keys of signatures cannot be used by now.
        """
        from orders.mapping import OrderMapping  # noqa: PLC0415 -- brings Temporal's client along: half a second

        return OrderMapping(
            {topic: event_type for event_type, topic in self.inbound_topics.items()},
            self.order_policy(search_attributes=self.temporal_search_attributes),
            run_timeout=self.order_run_timeout,
            limits=self.read_limits,
            signatures=self.signatures(),
        )

    @property
    def amount_required(self) -> bool:
        """Whether an order must say what it costs."""
        return self.is_production if self.order_amount_required is None else self.order_amount_required

    @property
    def is_open_to_everybody(self) -> bool:
        """Whether whoever shows no identity to the API may do everything."""
        return self.everybody_may(host=self.api_host, production=self.is_production)

    @property
    def names_endpoints(self) -> bool:
        """Whether the environment or ``.env`` says where any server is."""
        return not self.model_fields_set.isdisjoint(ENDPOINT_SETTINGS)

    @model_validator(mode="wrap")
    @classmethod
    def _all_that_is_wrong(cls, values: dict[str, Any], build: ModelWrapValidatorHandler[Self]) -> Self:
        """Has every sentence in one error: of what is malformed, and of what contradicts each other beside it."""
        values = secret_files.with_secrets_from_files(values, secret_files.secret_names(cls))
        malformed: dict[str, str] = {}
        try:
            settings = build(values)
        except ValidationError as error:
            malformed = dict(sentences_of(error))
            settings = build({name: value for name, value in values.items() if name not in malformed})
        # Not those in which a malformed one takes part: its default stands there, which nobody has set.
        names = [name.upper() for name in malformed]
        contradictions = [line for line in _contradictions(settings) if not any(name in line for name in names)]
        if malformed or contradictions:
            # `from None`: the original error would show what was read, secrets included, in a traceback.
            raise ValueError("\n".join([*malformed.values(), *contradictions])) from None
        return settings


def sentences_of(error: ValidationError) -> Iterator[tuple[str, str]]:
    """For each setting that is malformed its name and a sentence, with no value of a secret."""
    for detail in error.errors(include_url=False, include_context=True, include_input=False):
        name = str(detail["loc"][0]).lower() if detail["loc"] else ""
        message = detail["msg"].removeprefix("Value error, ")
        if not name:
            yield name, message
        elif message.startswith(("is ", "has ", "must ")):
            yield name, f"{name.upper()} {message}"
        else:
            yield name, f"{name.upper()} is wrong: {message[:1].lower()}{message[1:]}"


def _contradictions(settings: Settings) -> Iterator[str]:
    """A sentence for each pair of settings that cannot both be meant: those of each group, then those across groups."""
    yield from order.contradictions(settings)
    yield from bridge.contradictions(settings)
    yield from too_short(settings, _NOT_LONGER)
    yield from _longer_than_a_stop(settings)
    yield from kafka.contradictions(settings)
    yield from signatures.contradictions(settings)
    yield from temporal.contradictions(settings)
    yield from worker.contradictions(settings)
    yield from api.contradictions(
        settings, has_codec_keys=settings.temporal_codec_keys is not None, production=settings.is_production
    )
    yield from database.contradictions(settings)
    yield from secret_files.contradictions(settings)
    yield from production.contradictions(settings)
    yield from general.contradictions(settings)
    yield from identity.contradictions(settings, host=settings.api_host, production=settings.is_production)


_NOT_LONGER: Final = (
    # A gateway's answer that comes after the attempt is over is an outcome that nobody hears of.
    ("payment_gateway_timeout_seconds", "order_activity_start_to_close_seconds"),
    ("carrier_gateway_timeout_seconds", "order_activity_start_to_close_seconds"),
)

_STOPPING: Final = (
    ("bridge_drain_timeout_seconds", "bridge_commit_timeout_seconds", "bridge_commit_timeout_seconds"),
    ("worker_shutdown_grace_seconds",),
)
"""Spans that a process may have to wait for when it stops, one after the other."""


def _longer_than_a_stop(settings: Settings) -> Iterator[str]:
    for names in _STOPPING:
        total = sum(getattr(settings, name) for name in names)
        if total >= STOP_TIMEOUT_SECONDS:
            listed = " and ".join(name.upper() for name in dict.fromkeys(names))
            yield (
                f"{listed} ({total:g} in all) not below the {STOP_TIMEOUT_SECONDS:g} seconds within which a process "
                "that is told to stop has stopped: lower it"
            )
