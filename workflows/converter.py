"""The one data converter: every client and worker that speaks with our workflows uses it."""

from typing import Final

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

DATA_CONVERTER: Final[DataConverter] = pydantic_data_converter
"""Our models to JSON and back."""
