"""Reading the settings, and saying in a sentence each what is wrong with them."""

import os
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values
from pydantic import ValidationError

from orders.errors import WrongSettingsError
from orders.settings.model import Settings, sentences_of
from orders.settings.unknown import unknown_settings


def load_settings() -> Settings:
    """Reads the settings from the environment and from ``.env`` in the working directory, where the first wins.

    Raises:
        WrongSettingsError: a line for each setting that is malformed, unknown or contradicts another, all at once, with
            no value of a secret.
    """
    try:
        unknown = list(_unknown())
        settings = Settings()
    except ValidationError as error:
        # `from None`: the original error would show what was read, secrets included, in a traceback.
        raise WrongSettingsError("\n".join([*(line for _, line in sentences_of(error)), *unknown])) from None
    except UnicodeDecodeError:
        raise WrongSettingsError(".env is not UTF-8 text: save it as UTF-8 and start again") from None
    except OSError as error:
        raise WrongSettingsError(f".env cannot be read: {error.strerror}") from None
    unknown.extend(_of_libpq(settings))
    if unknown:
        raise WrongSettingsError("\n".join(unknown))
    return settings


def _of_libpq(settings: Settings) -> Iterator[str]:
    """What libpq's own variable asks for, and would not be given: Postgres would be spoken to in plain text instead."""
    mode = os.environ.get("PGSSLMODE", "")
    if mode in ("require", "verify-ca", "verify-full") and "db_tls" not in settings.model_fields_set:
        instead = f"set DB_TLS={mode}, and DB_TLS_CA_FILE in place of PGSSLROOTCERT; or DB_TLS=off"
        yield f"PGSSLMODE={mode} does not count here: {instead}"


def _unknown() -> Iterator[str]:
    file = Path(str(Settings.model_config["env_file"]))
    # As pydantic-settings reads it. What is empty counts as not set.
    named = dotenv_values(file, encoding="utf-8") if file.is_file() else {}
    known = {name.upper() for name in Settings.model_fields}
    return unknown_settings(os.environ, [name for name, value in named.items() if value], known)
