"""Where this machine's local servers are, as settings."""

from importlib.util import find_spec

from orders.errors import UnreachableError
from orders.settings import Settings, load_settings


def server_settings() -> Settings:
    """The settings, with the addresses of a running local stack where they name no server.

    Raises:
        UnreachableError: no server is named, and no local stack runs.
        WrongSettingsError: a setting is wrong.
    """
    settings = load_settings()
    if settings.names_endpoints:
        return settings
    if not has_local_servers():
        raise UnreachableError("no server is known: set KAFKA_BOOTSTRAP_SERVERS, TEMPORAL_HOST and DB_HOST")
    from stack import StackError, find  # noqa: PLC0415 - needed only here, and slow to import

    try:
        running = find()
    except StackError as error:
        raise UnreachableError(str(error)) from error
    if running is None:
        raise UnreachableError(
            "no server is known: run `orders up` in another terminal, "
            "or set KAFKA_BOOTSTRAP_SERVERS, TEMPORAL_HOST and DB_HOST"
        )
    return with_endpoints(settings, running.endpoints.as_environment())


def has_local_servers() -> bool:
    """Whether what local servers are made of is installed; the image of production goes without (extra ``stack``)."""
    return find_spec("jgo") is not None


def with_endpoints(settings: Settings, environment: dict[str, str]) -> Settings:
    """The settings with these variables put over them, as if they had been set."""
    return Settings(**{**settings.model_dump(), **{name.lower(): value for name, value in environment.items()}})
