"""The form for another address: what it sends, and what of that is new."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.order import Address

Batch = Annotated[str, Field(min_length=8, max_length=64, pattern="^[0-9a-z]+$")]
"""Names a form, so that one that is sent twice is one decision."""
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000)]
"""A line of an address as a form sends it. The message contract has the limit that a person is told of; this one is for
what is shown of a hostile record."""


class AddressForm(BaseModel):
    """An order's address as a person has left it in the form, beside how it was shown."""

    model_config = ConfigDict(frozen=True)

    batch: Batch
    order: str
    """The order as it was shown; see `Shown`."""
    street: Line = ""
    city: Line = ""
    state: Line = ""
    zip_code: Line = ""
    country: Line = ""
    was_street: Line = ""
    was_city: Line = ""
    was_state: Line = ""
    was_zip_code: Line = ""
    was_country: Line = ""

    @property
    def changes(self) -> dict[str, str]:
        """The lines that are others now. An empty one stays as it is: an update cannot take a line away.

        What is shown of a stranger's text is not always the text itself, so what nobody changed is not sent back.
        """
        lines = {name: (getattr(self, name), getattr(self, f"was_{name}")) for name in Address.model_fields}
        return {name: now for name, (now, was) in lines.items() if now and now != was}
