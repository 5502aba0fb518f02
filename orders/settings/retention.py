"""Settings of what is kept for how long."""

from pydantic import BaseModel, Field

from orders.settings.types import Count, Name


class RetentionSettings(BaseModel):
    """The archive of old orders."""

    archive_after_days: Count = Field(
        90, description="How long after its last change an order's events stay in the database, for `orders archive`."
    )
    archive_folder: Name | None = Field(
        None, description="Folder of the archive, for `orders archive` and `orders forget`; --to says another."
    )
