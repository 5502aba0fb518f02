"""Secrets that stand in files: taken as they are, and nothing else is taken for one."""

from pathlib import Path

import pytest

from orders.errors import WrongSettingsError
from orders.settings import Settings, load_settings
from orders.settings.secret_files import SUFFIX, present_secret, secret_names
from tests.unit.orders.test_settings_security import KNOWN, PLANTED, refusals_of


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but a test's own."""
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_every_secret_can_stand_in_a_file() -> None:
    assert secret_names(Settings), "the settings have secrets"
    assert [name for name in secret_names(Settings) if name + SUFFIX not in Settings.model_fields] == []


def test_a_secret_is_read_from_its_file_and_again_when_it_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PLANTED}\n")
    monkeypatch.setenv("DB_PASSWORD_FILE", str(file))
    settings = load_settings()
    assert settings.db_password is not None
    assert settings.db_password.get_secret_value() == PLANTED
    file.write_text("renewed\r\n")
    assert present_secret(settings, "db_password") == "renewed"
    file.unlink()
    with pytest.raises(WrongSettingsError, match="DB_PASSWORD_FILE names a file that cannot be read: No such file"):
        present_secret(settings, "db_password")
    assert present_secret(settings, "temporal_api_key") is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "DB_PASSWORD_FILE names a file that cannot be read: No such file or directory"),
        (b"\n", "DB_PASSWORD_FILE names a file that is empty"),
        (b"\xff", "DB_PASSWORD_FILE names a file that is not UTF-8 text"),
        (b"x" * 70_000, "DB_PASSWORD_FILE names a file that is longer than 65536 bytes: it is no file of a secret"),
    ],
)
def test_a_file_without_a_secret_is_refused_with_all_else_that_is_wrong(
    content: bytes | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "password").write_bytes(content)
    refusals = refusals_of(
        monkeypatch, DB_PASSWORD_FILE=str(tmp_path / "password"), DB_PORT="x", KAFKA_SASL_USERNAME="u"
    )
    assert sentence in refusals
    assert len(refusals) == 3, refusals


def test_a_secret_and_its_file_that_differ_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("another")
    (line,) = refusals_of(monkeypatch, DB_PASSWORD=PLANTED, DB_PASSWORD_FILE=str(tmp_path / "password"))
    assert line == "DB_PASSWORD and DB_PASSWORD_FILE are both set, and differ: set one of them"


@pytest.mark.parametrize("name", ["PAYMENT_GATEWAY_API_KEY", "CARRIER_GATEWAY_API_KEY", "TEMPORAL_API_KEY"])
@pytest.mark.parametrize("key", [f"{PLANTED}\r\nX-Evil: 1", f"{PLANTED}\n", f" {PLANTED}", f"{PLANTED}ключ"])
def test_a_key_that_is_no_line_of_a_header_is_refused(name: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = refusals_of(monkeypatch, TEMPORAL_TLS="true", **{name: key})
    assert [line.partition(",")[0] for line in refusals] == [f"{name} has a line break"]


def test_a_key_from_a_file_with_a_line_break_in_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(f"{PLANTED}\nX-Evil: 1\n")
    (line,) = refusals_of(monkeypatch, PAYMENT_GATEWAY_API_KEY_FILE=str(tmp_path / "key"))
    assert line.startswith("PAYMENT_GATEWAY_API_KEY_FILE names a file that has a line break")


SECRETS = sorted(secret_names(Settings))
SETTINGS_WITH = {
    "temporal_api_key": {"TEMPORAL_TLS": "true"},
    "kafka_sasl_password": {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "me",
    },
    "oidc_client_secret": {"OIDC_ISSUER": "https://id.example", "OIDC_AUDIENCE": "orders", "OIDC_CLIENT_ID": "console"},
}
"""What must be set beside a secret for it to be used."""


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"hush-7f3a\n\n", "has a line break, a byte-order mark or another control character in it"),
        (b"hush\x007f3a", "has a line break, a byte-order mark or another control character in it"),
        (b"\xef\xbb\xbf\xef\xbb\xbfhush-7f3a", "has a line break, a byte-order mark or another control character"),
        (b"\xff\xfeh\x00u\x00", "is not UTF-8 text"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_no_secret_is_taken_from_a_file_that_holds_something_else(
    name: str, content: bytes | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "secret"
    place.mkdir() if content is None else place.write_bytes(content)
    setting = f"{name}{SUFFIX}".upper()
    refusals = refusals_of(monkeypatch, **{**SETTINGS_WITH.get(name, {}), setting: str(place)})
    assert f"{setting} names a file that {sentence}" in "\n".join(refusals)


@pytest.mark.parametrize("name", ["DB_PASSWORD", "KAFKA_SASL_PASSWORD", "OIDC_CLIENT_SECRET"])
@pytest.mark.parametrize("added", ["\n", "\r\n", "\u2028", "\ufeff", "\x1b[2J"])
def test_a_secret_that_was_encoded_with_its_line_s_end_is_refused(
    name: str, added: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Kubernetes hands on what ``echo secret | base64`` made."""
    (line,) = refusals_of(monkeypatch, **{**SETTINGS_WITH.get(name.lower(), {}), name: f"{PLANTED}{added}"})
    assert line.startswith(f"{name} has a line break, a byte-order mark or another control character in it")


@pytest.mark.parametrize("password", ["p%w@:/?#", " a b ", "pässwörd-ключ-密码", "'\"\\${x}$$", "-x --help"])
@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_password_of_any_characters_is_taken_as_it_is_from_the_environment_and_from_a_file(
    password: str, begin: bytes, end: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_bytes(begin + password.encode() + end)
    monkeypatch.setenv("DB_PASSWORD_FILE", str(tmp_path / "password"))
    from_file = load_settings()
    monkeypatch.delenv("DB_PASSWORD_FILE")
    monkeypatch.setenv("DB_PASSWORD", password)
    for settings in (from_file, load_settings()):
        assert settings.db_password is not None
        assert settings.db_password.get_secret_value() == password
    assert present_secret(from_file, "db_password") == password
