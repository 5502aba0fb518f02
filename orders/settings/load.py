"""Reading the settings, and saying in a sentence each what is wrong with them."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from orders.errors import WrongSettingsError
from orders.settings.env_file import bindings_of, lines_without_effect
from orders.settings.model import Settings, sentences_of
from orders.settings.unknown import unknown_settings


def load_settings() -> Settings:
    """Reads the settings from the environment and from ``.env`` in the working directory, where the first wins.

    Raises:
        WrongSettingsError: a line for each setting that is malformed, unknown or contradicts another, all at once, with
            no value of a secret.
    """
    # It warns of what is an error here, with a sentence of its own.
    logging.getLogger("dotenv.main").setLevel(logging.ERROR)
    try:
        without_effect = list(_without_effect())
        settings = Settings()
    except ValidationError as error:
        lines = [line for _, line in sentences_of(error)]
        # `from None`: the original error would show what was read, secrets included, in a traceback.
        raise WrongSettingsError("\n".join([*lines, *without_effect])) from None
    except UnicodeDecodeError:
        raise WrongSettingsError(".env is not UTF-8 text: save it as UTF-8 and start again") from None
    except OSError as error:
        raise WrongSettingsError(f".env cannot be read: {error.strerror}") from None
    if without_effect:
        raise WrongSettingsError("\n".join(without_effect))
    return settings


def _without_effect() -> Iterator[str]:
    """A sentence for each thing that somebody has set, and that nobody would look at."""
    bindings = bindings_of(Path(str(Settings.model_config["env_file"])))
    known = {name.upper() for name in Settings.model_fields}
    # What is empty counts as not set.
    named = {one.key for one in bindings if one.key and one.value}
    yield from unknown_settings(os.environ, named, known)
    yield from lines_without_effect(bindings, os.environ, known)
    yield from _of_libpq({name.upper() for name, value in os.environ.items() if value} | {one.upper() for one in named})


def _of_libpq(given: set[str]) -> Iterator[str]:
    """What libpq's own variable asks for, and would not be given: Postgres would be spoken to in plain text instead."""
    mode = os.environ.get("PGSSLMODE", "")
    if mode in ("require", "verify-ca", "verify-full") and "DB_TLS" not in given:
        instead = f"set DB_TLS={mode}, and DB_TLS_CA_FILE in place of PGSSLROOTCERT; or DB_TLS=off"
        yield f"PGSSLMODE={mode} does not count here: {instead}"
