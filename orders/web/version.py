"""Which version answers."""

from importlib.metadata import PackageNotFoundError, version


def application_version() -> str:
    """The installed package's version."""
    try:
        return version("temporal-order-orchestrator")
    except PackageNotFoundError:
        return "unknown"
