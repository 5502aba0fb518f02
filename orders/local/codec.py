"""Temporal's UI and our codec server on one machine: each is told where the other is, where payloads are encrypted."""

from orders.settings import Settings
from orders.settings.api import CODEC_PATH


def codec_endpoint(settings: Settings, api_url: str) -> str | None:
    """Where Temporal's UI is to have payloads decrypted.

    Args:
        settings: say whether payloads are encrypted.
        api_url: where a browser on this machine finds the API.

    Returns:
        The address; None where nothing is encrypted, or the API is to choose its port itself.
    """
    if settings.temporal_codec_keys is None or settings.api_port == 0:
        return None
    return f"{api_url}{CODEC_PATH}"


def ui_origin(settings: Settings, ui_url: str | None) -> dict[str, str]:
    """Has the API answer the pages of the local servers' own UI, unless the person has said whose.

    Args:
        settings: what the person has set.
        ui_url: where the UI is.
    """
    if settings.temporal_codec_keys is None or ui_url is None or "api_codec_ui_origin" in settings.model_fields_set:
        return {}
    return {"API_CODEC_UI_ORIGIN": ui_url}


def decrypted_where(wanted: str | None, told: str | None) -> str | None:
    """What is to be said of how Temporal's UI shows payloads; None where they are not encrypted.

    Args:
        wanted: where our API decrypts them.
        told: what the UI was started with; None where that is nothing, or is not known.
    """
    if wanted is None:
        return None
    if told == wanted:
        return f"shows payloads decrypted by {wanted}"
    now = "it was not told who decrypts payloads" if told is None else f"it has payloads decrypted by {told}"
    return f"{now}: choose Codec Server on its pages, and give it {wanted}"
