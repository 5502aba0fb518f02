"""Settings of credentials: what production refuses, and what is written so that it would set nothing."""

import base64
import os
import re
from pathlib import Path

import pytest
import yaml

from orders.errors import WrongSettingsError
from orders.settings import Settings, load_settings
from orders.settings.unknown import OURS, SHARED, unknown_settings

ROOT = Path(__file__).parents[3]
PLANTED = "hush-7f3a"
KNOWN = {name.upper() for name in Settings.model_fields}
PRODUCTION = {
    "ORDERS_ENVIRONMENT": "production",
    "PAYMENT_GATEWAY_URL": "https://pay.example",
    "CARRIER_GATEWAY_URL": "https://carrier.example",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but a test's own."""
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def refusals_of(monkeypatch: pytest.MonkeyPatch, **settings: str) -> list[str]:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongSettingsError) as refused:
        load_settings()
    assert PLANTED not in str(refused.value)
    return str(refused.value).splitlines()


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("KAFKA_SECURTY_PROTOCOL", "did you mean KAFKA_SECURITY_PROTOCOL?"),
        ("KAFKA_SECURITY_PROTOCOLL", "did you mean KAFKA_SECURITY_PROTOCOL?"),
        ("TEMPORAL_TSL", "did you mean TEMPORAL_TLS?"),
        ("DB_PASSWORT", "did you mean DB_PASSWORD?"),
        ("BRIDGE_ANYTHING_ELSE", "`orders settings` lists those that there are"),
        ("KAKFA_SECURITY_PROTOCOL", "did you mean KAFKA_SECURITY_PROTOCOL?"),
        ("TEMPRAL_TLS", "did you mean TEMPORAL_TLS?"),
        ("KAFKAS_SECURITY_PROTOCOL", "did you mean KAFKA_SECURITY_PROTOCOL?"),
        ("ORDERS_ENVIROMENT", "did you mean ORDERS_ENVIRONMENT?"),
        ("API_IDENTTY", "did you mean API_IDENTITY?"),
        ("LOG_LEVL", "did you mean LOG_LEVEL?"),
    ],
)
def test_a_name_that_is_written_wrongly_is_an_error_with_the_right_one(
    name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = refusals_of(monkeypatch, **{name: PLANTED})
    assert line.startswith(f"{name} is no setting, and would be ignored: ")
    assert line.endswith(hint)


def test_a_wrong_name_is_noticed_in_every_group() -> None:
    assert [name for name in KNOWN if not name.startswith((*OURS, *SHARED))] == []


def test_unknown_names_are_told_with_all_else_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = refusals_of(monkeypatch, KAFKA_SECURTY_PROTOCOL="SSL", DB_PORT="x", ORDER_RUN_TIMEOUT_SECONDS="60")
    assert {line.split()[0] for line in refusals} == {
        "DB_PORT",
        "KAFKA_SECURTY_PROTOCOL",
        "ORDER_RUN_TIMEOUT_SECONDS",
    }


def test_the_file_is_ours_and_holds_no_unknown_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "LOG_COLOUR=red\nCOMPOSE_PROFILES=observability\nTEMPORAL_DB_PASSWORD=x\nDB_PROT=1\n"
    )
    with pytest.raises(WrongSettingsError) as refused:
        load_settings()
    assert [line.split(" is no setting")[0] for line in str(refused.value).splitlines()] == [
        "DB_PROT in .env",
        "LOG_COLOUR in .env",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_OPTS", "-Xmx1g"),
        ("KAFKA_HEAP_OPTS", "-Xmx1g"),
        ("TEMPORAL_ADDRESS", "temporal:7233"),
        ("TEMPORAL_CLI_SHOW_STACKS", "1"),
        ("SESSION_MANAGER", "local/host:@/tmp/.ICE-unix/1"),
        ("LOG_DIR", "/var/log"),
        ("API_TOKEN", "of another program"),
        ("GLOG_LEVEL", "of another program"),
        ("RDB_HOST", "of another program"),
        ("KAFKA2_SECURITY_PROTOCOL", "of another program"),
        ("ORDERS_COMMAND", "bin/orders"),
        # What Kubernetes sets in each pod for Services that are called so.
        ("KAFKA_SERVICE_HOST", "10.0.0.1"),
        ("KAFKA_SERVICE_PORT_TCP_CLIENT", "9092"),
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("TEMPORAL_FRONTEND_SERVICE_HOST", "10.0.0.1"),
        ("TEMPORAL_FRONTEND_PORT_7233_TCP", "tcp://10.0.0.1:7233"),
        ("KAFKA_SECURTY_PROTOCOL", ""),
    ],
)
def test_what_others_set_is_left_alone(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    load_settings()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("KAFKA_SECURITY_PROTOCOL: SSL", ".env has a line 2 that is no NAME=value, and would be passed over"),
        ("KAFKA SECURITY_PROTOCOL=SSL", ".env has a line 2 that is no NAME=value, and would be passed over"),
        (f"DB_PASSWORD='it''s {PLANTED}'", ".env has a line 2 that is no NAME=value, and would be passed over"),
        (f'DB_PASSWORD="{PLANTED}', ".env has a line 2 that is no NAME=value, and would be passed over"),
        ("TEMPORAL_TLS", ".env names TEMPORAL_TLS in line 2 without a value"),
        (f"DB_PASSWORD={PLANTED}${{x}}", ".env has a value in line 2 with ${…}, which stands for a variable that"),
        ("KAKFA_SECURITY_PROTOCOL=SSL", "KAKFA_SECURITY_PROTOCOL in .env is no setting, and would be ignored: did you"),
        ("\ufeffKAFKA_SECURTY_PROTOCOL=SSL", "KAFKA_SECURTY_PROTOCOL in .env is no setting"),
    ],
)
def test_a_line_of_the_file_that_would_set_nothing_is_refused(
    line: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".env").write_text(f"# ours\n{line}\nLOG_LEVEL=debug\n".replace("# ours\n\ufeff", "\ufeff"))
    (said,) = refusals_of(monkeypatch)
    assert said.startswith(sentence)
    assert caplog.records == [], "python-dotenv's own warning says nothing more"


def test_lines_of_the_file_that_set_something_are_taken_as_they_are_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "\ufeffexport DB_HOST=db\nDB_USER = 'it is' # a comment\nOTHER\nDB_NAME=${DB_HOST}-${NONE:-x}-${HOST_OF_MINE}\n"
    )
    monkeypatch.setenv("HOST_OF_MINE", "y")
    settings = load_settings()
    assert (settings.db_host, settings.db_user, settings.db_name) == ("db", "it is", "db-x-y")


def test_what_the_project_s_own_files_set_are_settings() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    ours = {
        name
        for service in yaml.safe_load(compose)["services"].values()
        if str(service.get("image", "")).startswith("temporal-order-orchestrator")
        for name in service["environment"]
    }
    assert len(ours) > 5
    assert list(unknown_settings(dict.fromkeys(ours, "x"), re.findall(r"\$\{(\w+)", compose), KNOWN)) == []
    image = re.findall(r"^ +([A-Z_]+)=", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert "ORDERS_ENVIRONMENT" in image
    assert list(unknown_settings(dict.fromkeys(image, "x"), [], KNOWN)) == []


# Production -----------------------------------------------------------------------------------------------------------

AWAY = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9093", "TEMPORAL_HOST": "temporal:7233", "DB_HOST": "db"}
SAFE = {"KAFKA_SECURITY_PROTOCOL": "SSL", "TEMPORAL_TLS": "true", "DB_TLS": "verify-full"}
TOKENS = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
    "KAFKA_OAUTH_CLIENT_ID": "bridge",
    "KAFKA_OAUTH_CLIENT_SECRET": PLANTED,
}


def test_production_with_protected_ways_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**PRODUCTION, **AWAY, **SAFE, "PAYMENT_GATEWAY_API_KEY": "k"}.items():
        monkeypatch.setenv(name, value)
    assert load_settings().is_production


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("DB_PASSWORD", {"DB_PASSWORD": "orders"}),
        ("DB_PASSWORD", {"DB_PASSWORD": "Postgres"}),
        ("DB_PASSWORD", {"DB_USER": "shop-7", "DB_PASSWORD": "SHOP-7"}),
        ("PAYMENT_GATEWAY_API_KEY", {"PAYMENT_GATEWAY_API_KEY": "changeme"}),
        (
            "KAFKA_SASL_PASSWORD",
            {
                "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "KAFKA_SASL_MECHANISM": "PLAIN",
                "KAFKA_SASL_USERNAME": "me-7",
                "KAFKA_SASL_PASSWORD": "me-7",
            },
        ),
    ],
)
def test_production_refuses_a_secret_that_everybody_knows_and_development_takes_it(
    name: str, others: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = refusals_of(monkeypatch, **{**PRODUCTION, **AWAY, **SAFE, **others})
    assert f"refuses a {name} that everybody knows" in line
    assert others[name] not in line
    monkeypatch.setenv("ORDERS_ENVIRONMENT", "development")
    load_settings()


@pytest.mark.parametrize("name", ["TEMPORAL_CODEC_KEYS", "BRIDGE_DEAD_LETTER_KEYS"])
@pytest.mark.parametrize("key", [bytes(32), b"k" * 32, b"0123456789abcde" * 2 + b"01", b"changeme" * 4])
def test_production_refuses_a_key_that_nobody_has_drawn(name: str, key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    good, weak = (base64.b64encode(one).decode() for one in (os.urandom(32), key))
    (line,) = refusals_of(monkeypatch, **{**PRODUCTION, **AWAY, **SAFE, name: f"new:{good},old:{weak}"})
    assert f"refuses the key old of {name}, which nobody has drawn" in line
    assert weak not in line
    monkeypatch.setenv(name, f"new:{good}")
    load_settings()


def test_production_refuses_such_a_secret_in_a_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("orders\n")
    others = {"DB_PASSWORD_FILE": str(tmp_path / "password")}
    (line,) = refusals_of(monkeypatch, **{**PRODUCTION, **AWAY, **SAFE, **others})
    assert "refuses a DB_PASSWORD that everybody knows" in line


@pytest.mark.parametrize(
    ("change", "server", "names"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "kafka", ("KAFKA_SECURITY_PROTOCOL=PLAINTEXT",)),
        ({"TEMPORAL_TLS": "false"}, "temporal", ("TEMPORAL_TLS=true",)),
        ({"DB_TLS": "off"}, "postgres", ("DB_TLS=off", "DB_TLS=verify-full")),
        ({"DB_TLS": "require"}, "postgres", ("DB_TLS=require", "DB_TLS=verify-full")),
        ({"DB_TLS": "verify-ca"}, "postgres", ("DB_TLS=verify-ca", "DB_TLS=verify-full")),
        (
            {"PAYMENT_GATEWAY_URL": "http://pay.example/v1", "PAYMENT_GATEWAY_API_KEY": PLANTED},
            "payment",
            ("PAYMENT_GATEWAY_API_KEY", "PAYMENT_GATEWAY_URL"),
        ),
        (
            {"CARRIER_GATEWAY_URL": "http://[fd00::1]:80", "CARRIER_GATEWAY_API_KEY": PLANTED},
            "carrier",
            ("CARRIER_GATEWAY_API_KEY", "CARRIER_GATEWAY_URL"),
        ),
        (
            {**TOKENS, "KAFKA_OAUTH_TOKEN_URL": "http://id.example/token"},
            "kafka-oauth",
            ("KAFKA_OAUTH_CLIENT_SECRET", "KAFKA_OAUTH_TOKEN_URL"),
        ),
    ],
)
def test_production_refuses_an_unprotected_way_and_names_setting_and_way(
    change: dict[str, str], server: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = refusals_of(monkeypatch, **{**PRODUCTION, **AWAY, **SAFE, **change})
    assert line.startswith("ORDERS_ENVIRONMENT=production ")
    assert all(name in line for name in names), line
    assert line.endswith(f"ORDERS_UNPROTECTED={server}")
    monkeypatch.setenv("ORDERS_UNPROTECTED", f"{server}, kafka")
    assert load_settings().is_production


def test_this_machine_s_own_servers_need_no_protection(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092,[::1]:9093",
        "TEMPORAL_HOST": "127.0.0.1:7233",
        "DB_HOST": "localhost",
        "PAYMENT_GATEWAY_URL": "http://localhost:1",
        "CARRIER_GATEWAY_URL": "http://[::1]:1/x",
        "CARRIER_GATEWAY_API_KEY": "k",
    }
    for name, value in {**PRODUCTION, **here}.items():
        monkeypatch.setenv(name, value)
    assert load_settings().is_production
    (line,) = refusals_of(monkeypatch, KAFKA_BOOTSTRAP_SERVERS="localhost:9092,kafka:9092")
    assert "ORDERS_UNPROTECTED=kafka" in line


def test_what_libpq_would_be_told_is_refused_with_all_else_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = refusals_of(monkeypatch, PGSSLMODE="require", DB_PORT="x", DB_HOTS="db")
    assert sorted(line.split()[0] for line in refusals) == ["DB_HOTS", "DB_PORT", "PGSSLMODE=require"]
    monkeypatch.delenv("DB_PORT")
    monkeypatch.delenv("DB_HOTS")
    monkeypatch.setenv("DB_TLS", "off")
    load_settings()


def test_production_says_all_that_it_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = refusals_of(monkeypatch, ORDERS_ENVIRONMENT="production", FAILPOINTS="after_call:kill", **AWAY)
    assert len(refusals) == 6, refusals
    (line,) = refusals_of(monkeypatch, ORDERS_UNPROTECTED="mail")[:1]
    assert line.startswith("ORDERS_UNPROTECTED must be made of kafka, temporal, postgres")


# Contradictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"DB_TLS_CA_FILE": "/ca"}, "DB_TLS_CA_FILE is set, but with DB_TLS=off it would not be used"),
        ({"DB_TLS": "require", "DB_TLS_CA_FILE": "/ca"}, "DB_TLS_CA_FILE is set, but with DB_TLS=require"),
        ({"DB_TLS": "prefer"}, "DB_TLS is wrong: input should be 'off', 'require', 'verify-ca' or 'verify-full'"),
        ({"DB_TLS": "verify-full", "DB_TLS_KEY_FILE": "/k"}, "DB_TLS_CERT_FILE and DB_TLS_KEY_FILE are set together"),
        ({**TOKENS}, "KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_OAUTH_TOKEN_URL, which is not set"),
        (
            {**TOKENS, "KAFKA_OAUTH_TOKEN_URL": "https://id.example/token", "KAFKA_SASL_USERNAME": "u"},
            "KAFKA_SASL_USERNAME is set, but with KAFKA_SASL_MECHANISM=OAUTHBEARER it would not be used",
        ),
        ({"KAFKA_OAUTH_SCOPE": "x"}, "KAFKA_OAUTH_SCOPE is set, but with KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
    ],
)
def test_credentials_that_would_not_be_used_are_refused(
    settings: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = refusals_of(monkeypatch, **settings)
    assert line.startswith(sentence)
