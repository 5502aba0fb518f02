"""Secrets that stand in files, as orchestrators mount them: each secret NAME has a setting NAME_FILE."""

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr

from orders.errors import WrongSettingsError
from orders.small_files import read_small_file

SUFFIX: Final = "_file"
_MAX_BYTES: Final = 64 * 1024


def secret_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields of a model that hold a secret."""
    return tuple(name for name, field in model.model_fields.items() if _is_secret(field.annotation))


def read_secret_file(path: Path) -> str:
    """The secret in a file, without the line's end and the byte-order mark that editors leave beside it.

    Raises:
        ValueError: there is none; a sentence without a subject, and with nothing of the file's content.
    """
    content = read_small_file(path, bytes_max=_MAX_BYTES, kind="a secret")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("is empty")
    if not _is_one_line(text):
        raise ValueError(f"has {_MORE_THAN_A_LINE}")
    return text


def with_secrets_from_files(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The values of settings, with each secret read whose file is named and that is not given itself.

    A file that cannot be read leaves its secret unset: `contradictions` says so, beside all else that is wrong.
    """
    filled = dict(values)
    for name in names:
        path = filled.get(name + SUFFIX)
        if path and not filled.get(name):
            try:
                filled[name] = read_secret_file(Path(path))
            except ValueError:
                continue
    return filled


def contradictions(settings: BaseModel) -> Iterator[str]:
    """A sentence for each secret that is none: in its setting, or in a file that cannot be read or says another."""
    for name in secret_names(type(settings)):
        path = getattr(settings, name + SUFFIX)
        secret: SecretStr | None = getattr(settings, name)
        if path is None:
            if secret is not None and not _is_one_line(secret.get_secret_value()):
                yield f"{name.upper()} has {_MORE_THAN_A_LINE}"
            continue
        try:
            content = read_secret_file(path)
        except ValueError as error:
            yield f"{(name + SUFFIX).upper()} names a file that {error}"
            continue
        # None where what is in the file is malformed, which is said elsewhere.
        if secret is not None and content != secret.get_secret_value():
            yield f"{name.upper()} and {(name + SUFFIX).upper()} are both set, and differ: set one of them"


def present_secret(settings: BaseModel, name: str) -> str | None:
    """A secret as it is now: read again where it stands in a file, which may have been renewed; None where none is set.

    Raises:
        WrongSettingsError: the file cannot be read.
    """
    path = getattr(settings, name + SUFFIX)
    if path is not None:
        try:
            return read_secret_file(path)
        except ValueError as error:
            raise WrongSettingsError(f"{(name + SUFFIX).upper()} names a file that {error}") from None
    value: SecretStr | None = getattr(settings, name)
    return None if value is None else value.get_secret_value()


_MORE_THAN_A_LINE: Final = (
    "a line break, a byte-order mark or another control character in it, as no secret has: it was copied wrongly, or "
    "encoded together with a line's end"
)


def _is_one_line(text: str) -> bool:
    return not any(unicodedata.category(one) in ("Cc", "Zl", "Zp") or one == "\ufeff" for one in text)


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_is_secret(part) for part in get_args(annotation))
