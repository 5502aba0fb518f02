"""Reading the settings, and saying in a sentence each what is wrong with them."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orders.errors import WrongSettingsError
from orders.settings.model import Settings


def load_settings() -> Settings:
    """Reads the settings from the environment and from ``.env`` in the working directory, where the first wins.

    Raises:
        WrongSettingsError: a setting is malformed or two contradict each other; names each, with no value of a secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        # `from None`: the original error would show what was read, secrets included, in a traceback.
        raise WrongSettingsError(_sentences(error)) from None
    except UnicodeDecodeError:
        raise WrongSettingsError(".env is not UTF-8 text: save it as UTF-8 and start again") from None
    except OSError as error:
        raise WrongSettingsError(f".env cannot be read: {error.strerror}") from None


def _sentences(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=True, include_input=False)
    return "\n".join(_sentence(detail) for detail in details)


def _sentence(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    if not detail["loc"]:
        return message
    name = str(detail["loc"][0]).upper()
    if message.startswith(("is ", "has ")):
        return f"{name} {message}"
    return f"{name} is wrong: {message[:1].lower()}{message[1:]}"
