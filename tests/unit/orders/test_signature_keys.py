"""Keys of signatures: where they stand, which are refused, and that renewed ones count without a restart."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs

from orders.errors import UsageError, WrongSettingsError
from orders.mapping import OrderMapping
from orders.operations.messages import Message
from orders.operations.signing import signed_message
from orders.settings import Settings, load_settings
from orders.signatures.keys import KeysError, read_private_key, read_public_keys
from orders.signatures.renewed import RenewedKeys
from schemas.event_types import EventType
from tests.helpers.messages.signing import (
    public_jwk,
    signing_key,
    write_key_set,
    write_private,
    write_public,
)
from tests.unit.orders.test_signatures import record

DESK, SHOP = signing_key("desk-1"), signing_key("shop", "ES256")
APPROVED = EventType.ORDER_APPROVED
SETTINGS = {name.upper() for name in Settings.model_fields}


def pem(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def refused(path: Path) -> str:
    with pytest.raises(KeysError) as caught:
        read_public_keys(path)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


# Where they stand -----------------------------------------------------------------------------------------------------


def test_keys_stand_in_a_key_set_or_in_a_folder(tmp_path: Path) -> None:
    write_key_set(tmp_path / "keys.json", DESK, SHOP)
    folder = tmp_path / "keys"
    folder.mkdir()
    for key in (DESK, SHOP):
        write_public(folder / f"{key.key_id}.pem", key)
    (folder / "README").write_text("not a key")
    of_set, of_folder = read_public_keys(tmp_path / "keys.json"), read_public_keys(folder)
    assert set(of_set) == set(of_folder) == {"desk-1", "shop"}
    for found in (of_set, of_folder):
        assert found["desk-1"].algorithms == ("Ed25519", "EdDSA")
        assert found["shop"].algorithms == ("ES256",)
        assert not any(one.key.is_private for one in found.values())


def test_a_path_that_no_file_can_have_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / ("k" * 300)
    assert refused(path) == "cannot be read: File name too long"
    with pytest.raises(KeysError, match="cannot be read: File name too long"):
        RenewedKeys(path)


def test_a_key_set_may_hold_keys_for_encryption_and_keys_may_name_their_algorithm(tmp_path: Path) -> None:
    entries = [public_jwk(DESK) | {"use": "enc", "kid": "other"}, public_jwk(DESK) | {"alg": "EdDSA"}]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": entries}))
    found = read_public_keys(tmp_path / "keys.json")
    assert {name: one.algorithms for name, one in found.items()} == {"desk-1": ("EdDSA",)}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "is no JSON object"),
        ("-----BEGIN PUBLIC KEY-----", "keys in PEM form stand in a folder, as KEY_ID.pem"),
        ("[" * 100_000, "is no JSON object"),
        ("{}", "is no JWKS file"),
        ('{"keys": []}', "holds no key"),
        ('{"keys": [7]}', "has a key at place 1 without a kid"),
        ('{"keys": [{"kty": "OKP"}]}', "has a key at place 1 without a kid"),
        ('{"keys": [{"kty": "OKP", "kid": "a:b"}]}', "has a key at place 1 without a kid"),
        ('{"keys": [{"kty": "OKP", "kid": "a"}]}', "has a key a that cannot be read"),
        ('{"keys": [{"kty": "new", "kid": "a"}]}', "has a key a that cannot be read"),
        ('{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}]}', "has a symmetric key as a"),
        (" " * 300_000, "is longer than 262144 bytes"),
    ],
)
def test_what_is_no_set_of_keys_is_refused_with_a_sentence(content: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    said = refused(path)
    assert sentence in said
    assert "c2VjcmV0" not in said


def test_weak_and_private_keys_are_refused_by_name(tmp_path: Path) -> None:
    weak = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)  # noqa: S505 -- that it is refused
    numbers = weak.public_key().public_numbers()
    from joserfc.util import int_to_base64  # noqa: PLC0415 - the library itself warns where it makes a weak key

    cases: dict[str, list[dict[str, Any]]] = {
        "has an RSA key of 1024 bits as old: 2048 are the least": [
            {"kty": "RSA", "kid": "old", "n": int_to_base64(numbers.n), "e": int_to_base64(numbers.e)}
        ],
        "has the private key of desk-1": [{**DESK.key.as_dict(private=True), "kid": "desk-1"}],
        "has two keys of one id": [public_jwk(DESK), {**public_jwk(SHOP), "kid": "desk-1"}],
        "has a key desk-1 whose alg is not taken here: Ed25519, EdDSA": [public_jwk(DESK) | {"alg": "ES256"}],
    }
    for sentence, entries in cases.items():
        (tmp_path / "keys.json").write_text(json.dumps({"keys": entries}))
        assert refused(tmp_path / "keys.json").startswith(sentence)
    folder = tmp_path / "keys"
    folder.mkdir()
    assert refused(folder).startswith("holds no key")
    of_files = {
        "has an RSA key of 1024 bits as k": pem(weak.public_key()),
        "has a key k on a curve that signs nothing here": pem(ec.generate_private_key(ec.SECP256K1()).public_key()),
        "has a key k of a kind that signs nothing here": pem(x25519.X25519PrivateKey.generate().public_key()),
        "has no public key in PEM form as k.pem": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "has a private key as k.pem": write_private(tmp_path / "private", DESK).read_bytes(),
    }
    for sentence, content in of_files.items():
        (folder / "k.pem").write_bytes(content)
        assert refused(folder).startswith(sentence)
    (folder / "k.pem").rename(folder / "no id.pem")
    assert refused(folder).startswith("has a file *.pem whose name is no key's id")
    assert refused(tmp_path / "nowhere").startswith("cannot be read: No such file")


# Renewal --------------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("in_folder", [False, True])
def test_a_new_key_counts_at_once_and_one_that_was_taken_away_soon_no_more(tmp_path: Path, *, in_folder: bool) -> None:
    place, clock = tmp_path / "keys", Clock()
    if in_folder:
        place.mkdir()

    def put(*keys: Any) -> None:
        if not in_folder:
            write_key_set(place, *keys)
            return
        for path in place.iterdir():
            path.unlink()
        for key in keys:
            write_public(place / f"{key.key_id}.pem", key)

    put(DESK)
    keys = RenewedKeys(place, clock=clock)
    assert keys.find("shop") is None
    put(DESK, SHOP)
    with capture_logs() as logs:
        assert keys.find("shop") is not None
    assert [(line["event"], line["key_ids"]) for line in logs] == [("signatures.keys.renewed", ["desk-1", "shop"])]
    put(SHOP)
    assert keys.find("desk-1") is not None, "it is looked for once a second"
    clock.now += 1
    assert keys.find("desk-1") is None


def test_keys_that_cannot_be_used_change_nothing_and_are_said_once(tmp_path: Path) -> None:
    place = tmp_path / "keys.json"
    write_key_set(place, DESK)
    keys = RenewedKeys(place, clock=Clock())
    place.write_text('{"keys": [')
    with capture_logs() as logs:
        assert [keys.find(name) is None for name in ("shop", "shop", "desk-1")] == [True, True, False]
    assert [line["event"] for line in logs] == ["signatures.keys.unusable"]
    place.unlink()
    with capture_logs() as logs:
        assert keys.find("shop") is None
        assert keys.find("desk-1") is not None
    assert "cannot be read" in logs[0]["detail"]
    write_key_set(place, SHOP)
    assert keys.find("shop") is not None


# The private key ------------------------------------------------------------------------------------------------------


def test_a_private_key_is_a_pem_file_or_a_jwk(tmp_path: Path) -> None:
    path = write_private(tmp_path / "desk-1.pem", DESK)
    assert read_private_key(path, None).key_id == "desk-1"
    assert read_private_key(path, "desk-2").key_id == "desk-2"
    jwk = tmp_path / "key.json"
    jwk.write_text(json.dumps({**SHOP.key.as_dict(private=True), "kid": "shop"}))
    assert (read_private_key(jwk, None).key_id, read_private_key(jwk, None).algorithms) == ("shop", ("ES256",))


def test_a_private_key_that_cannot_sign_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "desk-1.pem"
    encrypted = DESK.key.as_pem(private=True, password="pass")  # noqa: S106 - a test's own
    for content, key_id, sentence in (
        (encrypted, None, "is encrypted"),
        (b"hello", None, "holds no private key in PEM form"),
        (b"{", None, "is no JSON object"),
        (json.dumps(DESK.key.as_dict(private=True)).encode(), None, "names no id for the key"),
        (json.dumps(public_jwk(DESK)).encode(), None, "holds a public key: the private one signs"),
        (encrypted, "a b", "names no id for the key"),
    ):
        path.write_bytes(content)
        with pytest.raises(KeysError, match=sentence):
            read_private_key(path, key_id)
    with pytest.raises(KeysError, match="cannot be read"):
        read_private_key(tmp_path / "nowhere.pem", None)


def test_what_the_command_signs_the_bridge_takes_with_what_was_not_said_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = write_private(tmp_path / "desk-1.pem", DESK)
    write_key_set(tmp_path / "keys.json", DESK)
    settings = loaded(monkeypatch, ORDER_SIGNATURE_KEYS=str(tmp_path / "keys.json"))
    mapping: OrderMapping = settings.order_mapping()
    message = signed_message(settings, APPROVED, Message(b'{"order_id": "o-1"}'), private, None)
    read = mapping.read(record(message.value, message.headers))
    assert read.event.signed_with == "desk-1"
    assert read.event.event_id.startswith("cli:")
    again = signed_message(settings, APPROVED, Message(b'{"order_id": "o-1", "event_id": "e-9"}'), private, None)
    assert mapping.read(record(again.value, again.headers)).event.event_id == "e-9"
    with pytest.raises(UsageError, match="a bridge would set it aside: payment_id is missing"):
        signed_message(settings, EventType.ORDER_CREATED, Message(b'{"order_id": "o-1"}'), private, None)
    with pytest.raises(UsageError, match=r"nowhere\.pem, cannot be read"):
        signed_message(settings, APPROVED, message, tmp_path / "nowhere.pem", None)


# Settings -------------------------------------------------------------------------------------------------------------


def loaded(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


def test_settings_say_who_must_sign_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch).signatures() is None
    write_key_set(tmp_path / "keys.json", DESK, SHOP)
    settings = loaded(
        monkeypatch,
        ORDER_SIGNATURE_KEYS=str(tmp_path / "keys.json"),
        ORDER_SIGNATURES_REQUIRED="order.approved, order.cancelled",
        ORDER_SIGNATURE_RIGHTS="desk-1:order.approved,desk-1:order.cancelled,shop:order.cancelled,gone:order.approved",
    )
    signatures = settings.signatures()
    assert signatures is not None
    assert signatures.required == {APPROVED, EventType.ORDER_CANCELLED}
    assert signatures.rights == {
        "desk-1": {APPROVED, EventType.ORDER_CANCELLED},
        "shop": {EventType.ORDER_CANCELLED},
        "gone": {APPROVED},
    }
    (tmp_path / "keys.json").unlink()
    with pytest.raises(WrongSettingsError, match="ORDER_SIGNATURE_KEYS cannot be read"):
        settings.signatures()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"ORDER_SIGNATURES_REQUIRED": "order.approved"}, "ORDER_SIGNATURES_REQUIRED is set without ORDER_SIG"),
        ({"ORDER_SIGNATURE_RIGHTS": "desk-1:order.approved"}, "ORDER_SIGNATURE_RIGHTS is set, but with no ORDER_"),
        ({"ORDER_SIGNATURE_KEYS": "/nowhere"}, "ORDER_SIGNATURE_KEYS cannot be read: No such file or directory"),
        ({"ORDER_SIGNATURES_REQUIRED": "approved"}, "ORDER_SIGNATURES_REQUIRED must be made of order.created, "),
        ({"ORDER_SIGNATURE_RIGHTS": "desk-1"}, "ORDER_SIGNATURE_RIGHTS must be made of KEY_ID:EVENT_TYPE"),
        ({"ORDER_SIGNATURE_RIGHTS": "desk-1:approved"}, "ORDER_SIGNATURE_RIGHTS must be made of KEY_ID:EVENT_TYPE"),
        ({"ORDER_SIGNATURE_RIGHTS": ":order.approved"}, "ORDER_SIGNATURE_RIGHTS must be made of KEY_ID:EVENT_TYPE"),
        ({"ORDER_SIGNATURE_KEY": "keys.json"}, "did you mean ORDER_SIGNATURE_KEYS?"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(
    values: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WrongSettingsError) as caught:
        loaded(monkeypatch, **values)
    assert sentence in str(caught.value)


def test_a_type_that_must_be_signed_and_that_no_key_may_sign_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_key_set(tmp_path / "keys.json", DESK)
    with pytest.raises(WrongSettingsError) as caught:
        loaded(
            monkeypatch,
            ORDER_SIGNATURE_KEYS=str(tmp_path / "keys.json"),
            ORDER_SIGNATURES_REQUIRED="order.approved,order.cancelled",
            ORDER_SIGNATURE_RIGHTS="desk-1:order.approved,gone:order.cancelled",
        )
    (line,) = str(caught.value).splitlines()
    assert line.startswith("ORDER_SIGNATURES_REQUIRED has order.cancelled, and ORDER_SIGNATURE_RIGHTS lets no key of ")
    assert "(desk-1) sign it" in line


def test_keys_that_cannot_be_read_are_refused_with_the_reason(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere.json") == "cannot be read: No such file or directory"
