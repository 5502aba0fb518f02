"""All settings: one frozen model, read once from the environment and ``.env``."""

from orders.settings.load import load_settings
from orders.settings.model import Settings

__all__ = ["Settings", "load_settings"]
