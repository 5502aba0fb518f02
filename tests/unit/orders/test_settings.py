"""Settings: what is read, what is refused and how that is said."""

import base64
import errno
from datetime import timedelta
from pathlib import Path

import pytest

from activities.adapters.postgres.engine import TRANSACTION_TIMEOUT
from bridge import BridgeConfig, DeadLetterLimits, FetchLimits, ReadLimits, Record
from orders.errors import WrongSettingsError
from orders.processes.exit_status import ExitStatus, exit_status_of
from orders.settings import Settings, load_settings
from orders.settings.example import env_example
from orders.settings.model import GROUPS
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.order import OrderPolicy
from schemas.workflow_io import OrderWorkflowInput

ROOT = Path(__file__).parents[3]
PLANTED = "hush-7f3a"
KEY = base64.b64encode(bytes(range(32))).decode()
OF_A_STATEMENT = "DB_STATEMENT_TIMEOUT_SECONDS is wrong: input should be less than"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but a test's own."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def refusal_of(monkeypatch: pytest.MonkeyPatch, **settings: str) -> list[str]:
    """The sentences with which these settings are refused."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongSettingsError) as refused:
        load_settings()
    assert exit_status_of(refused.value) is ExitStatus.USAGE
    return str(refused.value).splitlines()


def test_the_example_file_is_what_the_model_says() -> None:
    assert (ROOT / ".env.example").read_text() == env_example(), "renew it: orders settings --example > .env.example"


def test_the_example_file_with_every_line_active_changes_nothing(tmp_path: Path) -> None:
    active = [line[1:] for line in env_example().splitlines() if line.startswith("#") and not line.startswith("# ")]
    assert len([line for line in active if "=" in line]) == len(Settings.model_fields)
    (tmp_path / ".env").write_text("\n".join(active))
    assert load_settings().model_dump() == Settings(_env_file=None).model_dump()


def test_every_setting_is_in_one_group_and_says_what_it_means() -> None:
    fields = [(name, field) for group in GROUPS for name, field in group.model_fields.items()]
    assert sorted(name for name, _ in fields) == sorted(Settings.model_fields)
    for name, field in fields:
        assert (field.description or "").endswith("."), f"{name} needs a sentence"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("DB_PORT=6001\nDB_NAME=from_file\n")
    monkeypatch.setenv("DB_PORT", "6002")
    settings = load_settings()
    assert (settings.db_port, settings.db_name) == (6002, "from_file")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_HOST", "")
    settings = load_settings()
    assert settings.temporal_host == "127.0.0.1:7233"
    assert not settings.names_endpoints


@pytest.mark.parametrize("name", ["KAFKA_BOOTSTRAP_SERVERS", "TEMPORAL_HOST", "DB_HOST"])
def test_any_address_means_that_no_local_stack_is_looked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load_settings().names_endpoints
    monkeypatch.setenv(name, "somewhere")
    assert load_settings().names_endpoints


def test_a_server_without_a_port_has_its_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_HOST", "temporal.example")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "one.example, [::1]:9094")
    settings = load_settings()
    assert settings.temporal_host == "temporal.example:7233"
    assert settings.kafka_bootstrap_servers == "one.example:9092,[::1]:9094"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("TEMPORAL_HOST", "http://temporal", "TEMPORAL_HOST must be a server's name and port"),
        ("TEMPORAL_HOST", "temporal:99999", "TEMPORAL_HOST has a port outside"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092,", "KAFKA_BOOTSTRAP_SERVERS must be a server's name and port"),
        ("DB_PORT", "0", "DB_PORT is wrong: input should be greater than or equal to 1"),
        ("DB_PORT", "postgres", "DB_PORT is wrong: input should be a valid integer"),
        ("ORDER_APPROVAL_TIMEOUT_SECONDS", "-1", "ORDER_APPROVAL_TIMEOUT_SECONDS is wrong: input should be greater"),
        ("ORDER_APPROVAL_TIMEOUT_SECONDS", "nan", "ORDER_APPROVAL_TIMEOUT_SECONDS is wrong"),
        ("ORDER_APPROVAL_TIMEOUT_SECONDS", "inf", "ORDER_APPROVAL_TIMEOUT_SECONDS is wrong"),
        ("DB_STATEMENT_TIMEOUT_SECONDS", "3.6", f"{OF_A_STATEMENT} or equal to {TRANSACTION_TIMEOUT.total_seconds()}"),
        ("KAFKA_TOPIC_ORDER_EVENTS", "two words", "KAFKA_TOPIC_ORDER_EVENTS must be a topic's name"),
        ("PAYMENT_GATEWAY_URL", "payments.example", "PAYMENT_GATEWAY_URL must be an address that begins with http"),
        ("BRIDGE_INSTANCE_ID", "bridge 1", "BRIDGE_INSTANCE_ID must be a name of up to 249 of letters"),
        (
            "PAYMENT_GATEWAY_URL",
            f"https://me:{PLANTED}@pay.example",
            "PAYMENT_GATEWAY_URL must be an address without",
        ),
        (
            "CARRIER_GATEWAY_URL",
            f"https://ship.example/?key={PLANTED}",
            "CARRIER_GATEWAY_URL must be an address with",
        ),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is wrong"),
        ("TEMPORAL_CODEC_KEYS", PLANTED, "TEMPORAL_CODEC_KEYS has no id and key at place 1"),
        ("TEMPORAL_CODEC_KEYS", f"{PLANTED}+/=:{KEY}", "TEMPORAL_CODEC_KEYS has no id and key at place 1"),
        ("TEMPORAL_CODEC_KEYS", f"a:{KEY},", "TEMPORAL_CODEC_KEYS has no id and key at place 2"),
        ("TEMPORAL_CODEC_KEYS", f"a:{PLANTED}", "TEMPORAL_CODEC_KEYS has a key at place 1 that is not base64"),
        ("TEMPORAL_CODEC_KEYS", f"a:{KEY},b:{KEY[:-4]}", "TEMPORAL_CODEC_KEYS has a key at place 2 of 30 bytes"),
        ("TEMPORAL_CODEC_KEYS", f"a:{KEY},a:{KEY}", "TEMPORAL_CODEC_KEYS has two keys of one id"),
    ],
)
def test_a_malformed_setting_is_named_in_one_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = refusal_of(monkeypatch, **{name: value})
    assert len(refusals) == 1
    assert refusals[0].startswith(sentence)
    assert PLANTED not in refusals[0]
    assert KEY[:-4] not in refusals[0]


def test_a_file_that_is_no_text_or_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"DB_NAME=\xff\n")
    with pytest.raises(WrongSettingsError, match=r"\.env is not UTF-8 text"):
        load_settings()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("io.open", refuse)
    with pytest.raises(WrongSettingsError, match=r"\.env cannot be read: Permission denied"):
        load_settings()


def test_each_malformed_setting_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = refusal_of(monkeypatch, DB_PORT="x", LOG_LEVEL="loud")
    assert sorted(line.split()[0] for line in refusals) == ["DB_PORT", "LOG_LEVEL"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (
            {"ORDER_RUN_TIMEOUT_SECONDS": "901", "ORDER_APPROVAL_TIMEOUT_SECONDS": "902"},
            ("ORDER_RUN_TIMEOUT_SECONDS (901)", "ORDER_APPROVAL_TIMEOUT_SECONDS (902)"),
        ),
        ({"ORDER_RUN_TIMEOUT_SECONDS": "60"}, ("ORDER_RUN_TIMEOUT_SECONDS", "ORDER_EARLY_EVENT_TTL_SECONDS")),
        (
            {"ORDER_PROVIDER_TIME_ALLOWED_SECONDS": "3.5"},
            ("ORDER_PROVIDER_TIME_ALLOWED_SECONDS (3.5)", "ORDER_ACTIVITY_START_TO_CLOSE_SECONDS (4)"),
        ),
        (
            {"ORDER_RETRY_INITIAL_INTERVAL_SECONDS": "11"},
            ("ORDER_RETRY_MAXIMUM_INTERVAL_SECONDS", "ORDER_RETRY_INITIAL_INTERVAL_SECONDS"),
        ),
        (
            {"BRIDGE_HEARTBEAT_INTERVAL_SECONDS": "11"},
            ("BRIDGE_HEARTBEAT_INTERVAL_SECONDS", "BRIDGE_SESSION_TIMEOUT_SECONDS"),
        ),
        (
            {"BRIDGE_REBALANCE_TIMEOUT_SECONDS": "20"},
            ("BRIDGE_DRAIN_TIMEOUT_SECONDS", "BRIDGE_REBALANCE_TIMEOUT_SECONDS"),
        ),
        (
            {"BRIDGE_WATCHDOG_TIMEOUT_SECONDS": "45"},
            ("BRIDGE_WATCHDOG_TIMEOUT_SECONDS", "BRIDGE_REBALANCE_TIMEOUT_SECONDS"),
        ),
        (
            {"BRIDGE_RPC_TIMEOUT_SECONDS": "30"},
            ("BRIDGE_WATCHDOG_TIMEOUT_SECONDS", "BRIDGE_RPC_TIMEOUT_SECONDS"),
        ),
        ({"BRIDGE_DRAIN_TIMEOUT_SECONDS": "15"}, ("BRIDGE_DRAIN_TIMEOUT_SECONDS", "25 seconds")),
        ({"WORKER_SHUTDOWN_GRACE_SECONDS": "25"}, ("WORKER_SHUTDOWN_GRACE_SECONDS", "25 seconds")),
        (
            {"BRIDGE_RETRY_INITIAL_INTERVAL_SECONDS": "6"},
            ("BRIDGE_RETRY_INITIAL_INTERVAL_SECONDS", "BRIDGE_RETRY_MAXIMUM_INTERVAL_SECONDS"),
        ),
        (
            {"BRIDGE_MAX_POLL_INTERVAL_SECONDS": "29"},
            ("BRIDGE_MAX_POLL_INTERVAL_SECONDS", "BRIDGE_SESSION_TIMEOUT_SECONDS"),
        ),
        (
            {"PAYMENT_GATEWAY_TIMEOUT_SECONDS": "5"},
            ("PAYMENT_GATEWAY_TIMEOUT_SECONDS", "ORDER_ACTIVITY_START_TO_CLOSE_SECONDS"),
        ),
        (
            {"CARRIER_GATEWAY_TIMEOUT_SECONDS": "5"},
            ("CARRIER_GATEWAY_TIMEOUT_SECONDS", "ORDER_ACTIVITY_START_TO_CLOSE_SECONDS"),
        ),
        (
            {"KAFKA_TOPIC_ORDER_EVENTS": "order.created"},
            ("KAFKA_TOPIC_ORDER_CREATED", "KAFKA_TOPIC_ORDER_EVENTS"),
        ),
        ({"KAFKA_SASL_USERNAME": "u"}, ("KAFKA_SASL_USERNAME", "KAFKA_SECURITY_PROTOCOL=PLAINTEXT")),
        ({"KAFKA_SSL_CA_FILE": "/ca.pem"}, ("KAFKA_SSL_CA_FILE", "KAFKA_SECURITY_PROTOCOL=PLAINTEXT")),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_FILE": "/key.pem"},
            ("KAFKA_SSL_CERT_FILE", "KAFKA_SSL_KEY_FILE"),
        ),
        (
            {"TEMPORAL_CODEC_ALLOW_UNENCRYPTED": "true"},
            ("TEMPORAL_CODEC_ALLOW_UNENCRYPTED", "TEMPORAL_CODEC_KEYS"),
        ),
        ({"TEMPORAL_API_KEY": PLANTED}, ("TEMPORAL_API_KEY", "TEMPORAL_TLS=false")),
        (
            {"TEMPORAL_TLS": "true", "TEMPORAL_TLS_CLIENT_CERT_FILE": "/cert.pem"},
            ("TEMPORAL_TLS_CLIENT_CERT_FILE", "TEMPORAL_TLS_CLIENT_KEY_FILE"),
        ),
        ({"API_CODEC_UI_ORIGIN": "https://temporal.example"}, ("API_CODEC_UI_ORIGIN", "TEMPORAL_CODEC_KEYS")),
        (
            {"API_CODEC_UI_ORIGIN": "https://temporal.example/ui", "TEMPORAL_CODEC_KEYS": f"a:{KEY}"},
            ("API_CODEC_UI_ORIGIN", "without a path"),
        ),
        (
            {
                "ORDERS_ENVIRONMENT": "production",
                "API_CODEC_UI_ORIGIN": "http://temporal.example",
                "TEMPORAL_CODEC_KEYS": f"a:{KEY}",
            },
            ("ORDERS_ENVIRONMENT=production", "API_CODEC_UI_ORIGIN"),
        ),
        ({"DB_ROLE_WORKER": "orders", "DB_ROLE_API": "orders"}, ("DB_ROLE_WORKER", "DB_ROLE_API")),
        (
            {"ORDERS_ENVIRONMENT": "production", "CARRIER_GATEWAY_URL": "https://carrier.example"},
            ("ORDERS_ENVIRONMENT=production", "PAYMENT_GATEWAY_URL"),
        ),
        (
            {"ORDERS_ENVIRONMENT": "production", "PAYMENT_GATEWAY_URL": "https://pay.example"},
            ("ORDERS_ENVIRONMENT=production", "CARRIER_GATEWAY_URL"),
        ),
        (
            {
                "ORDERS_ENVIRONMENT": "production",
                "PAYMENT_GATEWAY_URL": "https://pay.example",
                "CARRIER_GATEWAY_URL": "https://carrier.example",
                "FAILPOINTS": "after_call:kill",
            },
            ("FAILPOINTS", "ORDERS_ENVIRONMENT=production"),
        ),
    ],
)
def test_settings_that_contradict_each_other_are_both_named(
    settings: dict[str, str], named: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = refusal_of(monkeypatch, **settings)
    matching = [line for line in refusals if all(name in line for name in named)]
    assert len(matching) == 1, refusals
    assert PLANTED not in "\n".join(refusals)


def test_sasl_without_its_user_and_password_is_refused_with_a_line_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = refusal_of(monkeypatch, KAFKA_SECURITY_PROTOCOL="SASL_SSL")
    assert [line.split(" needs ")[1].split(",")[0] for line in refusals] == [
        "KAFKA_SASL_MECHANISM",
        "KAFKA_SASL_PASSWORD",
        "KAFKA_SASL_USERNAME",
    ]


def test_no_secret_is_shown_in_the_settings_or_in_what_refuses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", PLANTED)
    monkeypatch.setenv("PAYMENT_GATEWAY_API_KEY", PLANTED)
    settings = load_settings()
    assert settings.db_password is not None
    assert settings.db_password.get_secret_value() == PLANTED
    assert PLANTED not in repr(settings) + str(settings) + settings.model_dump_json()
    refusals = refusal_of(monkeypatch, DB_PORT=PLANTED, KAFKA_SASL_PASSWORD=PLANTED)
    assert PLANTED not in "\n".join(refusals)


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.db_port = 1  # type: ignore[misc]


def test_the_defaults_are_those_of_the_rooms_they_are_for() -> None:
    settings = load_settings()
    assert settings.order_policy(search_attributes=settings.temporal_search_attributes) == OrderPolicy(
        search_attributes=True, prepared_told_after=timedelta(seconds=1)
    )
    assert settings.order_run_timeout is None
    assert settings.bridge_config(dead_letter_topic="d") == BridgeConfig(
        group_id="order-bridge",
        dead_letter_topic="d",
        client_id="order-bridge",
        make_topics="make them with `orders migrate`",
        dead_letter_limits=DeadLetterLimits(
            in_a_row_setting="BRIDGE_DEAD_LETTERS_IN_A_ROW_MAX",
            share_setting="BRIDGE_DEAD_LETTERS_SHARE_MAX",
            reasons="`orders dlq list`",
        ),
        begin_setting="BRIDGE_BEGIN",
        fetch=FetchLimits(unfolded_max_setting="BRIDGE_FETCH_UNFOLDED_MAX_BYTES"),
    )
    assert settings.read_limits == ReadLimits(value_max_setting="BRIDGE_VALUE_MAX_BYTES")


def test_a_topic_of_another_name_keeps_its_event_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_TOPIC_ORDER_CANCELLED", "cancellations")
    mapping = load_settings().order_mapping()
    assert set(mapping.topics) == {"order.created", "order.approved", "cancellations", "order.address_updated"}
    record = Record("cancellations", 0, 0, 0, None, b'{"order_id": "o-1"}')
    assert mapping.read(record).event_type is EventType.ORDER_CANCELLED


def test_the_bridge_s_calls_have_the_policy_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_APPROVAL_TIMEOUT_SECONDS", "7")
    monkeypatch.setenv("ORDER_RUN_TIMEOUT_SECONDS", "5000")
    settings = load_settings()
    call = settings.order_mapping().call_for("o-1", EventType.ORDER_APPROVED, InboundEvent())
    policy = settings.order_policy(search_attributes=True)
    assert policy.approval_timeout == timedelta(seconds=7)
    assert call.argument == OrderWorkflowInput(order_id="o-1", policy=policy)
    assert call.run_timeout == timedelta(seconds=5_000)


def test_the_bridge_s_messages_name_settings_that_there_are() -> None:
    settings = load_settings()
    limits = settings.bridge_config(dead_letter_topic="d").dead_letter_limits
    for name in (limits.in_a_row_setting, limits.share_setting, settings.read_limits.value_max_setting):
        assert name.lower() in Settings.model_fields


@pytest.mark.parametrize(
    ("environment", "setting", "required"),
    [
        ("development", None, False),
        ("production", None, True),
        ("development", "true", True),
        ("production", "false", False),
    ],
)
def test_an_amount_is_required_in_production_unless_a_setting_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, environment: str, setting: str | None, required: bool
) -> None:
    urls = {f"{name}_GATEWAY_URL": "https://gateway.example" for name in ("PAYMENT", "CARRIER")}
    given = {} if setting is None else {"ORDER_AMOUNT_REQUIRED": setting}
    for name, value in {"ORDERS_ENVIRONMENT": environment, **urls, **given}.items():
        monkeypatch.setenv(name, value)
    assert load_settings().amount_required is required
