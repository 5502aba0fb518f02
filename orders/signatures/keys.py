"""The keys of signatures: read from files, and refused where they are weak."""

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey

from orders.small_files import read_small_file

_RSA_BITS_MIN: Final = 2_048
_FILE_BYTES_MAX: Final = 256 * 1024
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KEY_ID_FORM: Final = "up to 64 of letters, digits and . _ -"
PEM: Final = ".pem"
"""The end of the name of each file in a folder of keys."""

_ALGORITHMS: Final[Mapping[str, tuple[str, ...]]] = {
    "RSA": ("PS256", "PS384", "PS512", "RS256", "RS384", "RS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    # RFC 9864 names the curve; many libraries still write what RFC 8037 said for both.
    "Ed25519": ("Ed25519", "EdDSA"),
    "Ed448": ("Ed448", "EdDSA"),
}
"""The algorithms of each kind of key; we sign with the first. None is symmetric: whoever checks could also sign."""

AsymmetricKey = RSAKey | ECKey | OKPKey


class KeysError(ValueError):
    """Keys that cannot be used. The message is a sentence about the setting; of a key it shows only the id."""


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key under the name by which signatures say whose they are."""

    key_id: str
    key: AsymmetricKey
    algorithms: tuple[str, ...]


def is_key_id(text: str) -> bool:
    """Whether a text can be the id of a key, and so may be shown."""
    return _KEY_ID.fullmatch(text) is not None


def read_public_keys(path: Path) -> Mapping[str, NamedKey]:
    """The keys that signatures are checked with, by their ids.

    Args:
        path: a JWKS file (RFC 7517, section 5), or a folder with a public key in PEM form in each file KEY_ID.pem.

    Raises:
        KeysError: there are none, or one of them cannot be used.
    """
    try:
        found = tuple(_keys_of_folder(path) if path.is_dir() else _keys_of_set(path))
    except OSError as error:
        raise KeysError(f"cannot be read: {error.strerror}") from None
    if not found:
        raise KeysError("holds no key: put a JWKS file there, or a folder with KEY_ID.pem for each public key")
    by_id = {one.key_id: one for one in found}
    if len(by_id) < len(found):
        raise KeysError("has two keys of one id: give each its own")
    return by_id


def read_private_key(path: Path, key_id: str | None) -> NamedKey:
    """The key to sign with.

    Args:
        path: a private key in PEM form without a pass phrase, or as a JWK.
        key_id: its id; None for the JWK's own, or the name of the PEM file without its end.

    Raises:
        KeysError: it cannot be used.
    """
    content = _content_of(path)
    entry = _json_of(content) if content.lstrip()[:1] == b"{" else None
    name = key_id or (path.name.removesuffix(PEM) if entry is None else entry.get("kid"))
    if not isinstance(name, str) or not is_key_id(name):
        raise KeysError(f"names no id for the key: give one beside it, {_KEY_ID_FORM}")
    key = _wrapped(_private_of_pem(content), name) if entry is None else _imported(entry, name)
    if not key.is_private:
        raise KeysError("holds a public key: the private one signs")
    return _named(name, key)


# Reading --------------------------------------------------------------------------------------------------------------


def _keys_of_folder(folder: Path) -> Iterator[NamedKey]:
    for path in sorted(folder.glob(f"*{PEM}")):
        name = path.name.removesuffix(PEM)
        if not is_key_id(name):
            raise KeysError(f"has a file *.pem whose name is no key's id: {_KEY_ID_FORM}")
        content = _content_of(path)
        if b"PRIVATE KEY" in content:
            raise KeysError(f"has a private key as {name}{PEM}: {_ONLY_PUBLIC}")
        try:
            native = load_pem_public_key(content)
        except (ValueError, UnsupportedAlgorithm):
            raise KeysError(f"has no public key in PEM form as {name}{PEM}") from None
        yield _named(name, _wrapped(native, name))


_ONLY_PUBLIC: Final = "it must be with its owner alone; make a new pair, and put the public part here"


def _keys_of_set(path: Path) -> Iterator[NamedKey]:
    entries = _json_of(_content_of(path)).get("keys")
    if not isinstance(entries, list):
        raise KeysError("is no JWKS file: a JSON object with an array of keys")
    for place, entry in enumerate(entries, start=1):
        if isinstance(entry, dict) and entry.get("use", "sig") != "sig":
            continue  # Providers publish keys for encryption beside those for signatures.
        name = entry.get("kid") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not is_key_id(name):
            raise KeysError(f"has a key at place {place} without a kid, or with one that is not {_KEY_ID_FORM}")
        key = _imported(entry, name)
        if key.is_private:
            raise KeysError(f"has the private key of {name}: {_ONLY_PUBLIC}")
        yield _named(name, key)


def _content_of(path: Path) -> bytes:
    try:
        return read_small_file(path, bytes_max=_FILE_BYTES_MAX, kind="keys")
    except ValueError as error:
        raise KeysError(str(error)) from None


def _json_of(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise KeysError("is no JSON object: a JWKS file is one; keys in PEM form stand in a folder, as KEY_ID.pem")
    return document


def _imported(entry: dict[str, Any], name: str) -> AsymmetricKey:
    try:
        with warnings.catch_warnings():
            # joserfc warns of weak keys; they are refused below.
            warnings.simplefilter("ignore", SecurityWarning)
            key = JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        raise KeysError(f"has a key {name} that cannot be read") from None
    if isinstance(key, OctKey):
        raise KeysError(f"has a symmetric key as {name}: whoever checks with it could sign with it")
    return key


def _private_of_pem(content: bytes) -> Any:
    try:
        return load_pem_private_key(content, None)
    except TypeError:
        raise KeysError("is encrypted: `openssl pkey -in KEY -out PLAIN_KEY` makes one that can be read here") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeysError("holds no private key in PEM form, and is no JWK") from None


def _wrapped(native: Any, name: str) -> AsymmetricKey:
    match native:
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            _check_bits(native.key_size, name)
            return RSAKey.import_key(native)
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            return ECKey.import_key(native)
        case (
            ed25519.Ed25519PublicKey() | ed25519.Ed25519PrivateKey() | ed448.Ed448PublicKey() | ed448.Ed448PrivateKey()
        ):
            return OKPKey.import_key(native)
    raise KeysError(f"has a key {name} of a kind that signs nothing here: make one of Ed25519, P-256 or RSA")


def _check_bits(bits: int, name: str) -> None:
    if bits < _RSA_BITS_MIN:
        raise KeysError(f"has an RSA key of {bits} bits as {name}: {_RSA_BITS_MIN} are the least")


def _named(name: str, key: AsymmetricKey) -> NamedKey:
    """The key, if it is one that may sign."""
    if isinstance(key, RSAKey):
        _check_bits(key.public_key.key_size, name)
        kind = "RSA"
    else:
        kind = _curve_of(key)
    if kind not in _ALGORITHMS:
        raise KeysError(f"has a key {name} on a curve that signs nothing here: make one of Ed25519, P-256 or RSA")
    wanted = key.alg
    algorithms = tuple(one for one in _ALGORITHMS[kind] if wanted is None or one == wanted)
    if not algorithms:
        raise KeysError(f"has a key {name} whose alg is not taken here: {', '.join(_ALGORITHMS[kind])}")
    return NamedKey(name, key, algorithms)


def _curve_of(key: ECKey | OKPKey) -> str:
    try:
        return str(key.curve_name)
    except (KeyError, ValueError):
        return "another"  # A curve that joserfc has no name for.
