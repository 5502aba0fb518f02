"""Settings of signatures: whose signed messages count, and which messages count with a signature only."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, Field

from orders.errors import WrongSettingsError
from orders.settings.contradictions import unused
from orders.settings.types import words_of
from schemas.event_types import EventType

if TYPE_CHECKING:
    from orders.signatures.signature import Signatures

_TYPES = ", ".join(EventType)


def _event_types(value: str) -> str:
    if not set(words_of(value)) <= set(EventType):
        raise ValueError(f"must be made of {_TYPES}, separated by commas")
    return value


def _rights(value: str) -> str:
    for word in words_of(value):
        key_id, colon, event_type = word.rpartition(":")
        if not colon or not key_id or event_type not in set(EventType):
            raise ValueError(f"must be made of KEY_ID:EVENT_TYPE, separated by commas; event types are {_TYPES}")
    return value


class SignatureSettings(BaseModel):
    """Signatures of messages in Kafka."""

    order_signature_keys: Path | None = Field(
        None,
        description="Public keys of those who may sign messages: a JWKS file, or a folder with a file KEY_ID.pem for "
        "each. Looked at again by itself. The same for bridges, workers, the API and commands. Unset, signatures are "
        "not looked at.",
    )
    order_signatures_required: Annotated[str, AfterValidator(_event_types)] = Field(
        "",
        description="Event types that are set aside where they come from Kafka without a signature, separated by "
        "commas, such as order.approved,order.cancelled. What the API sends is vouched for by itself.",
    )
    order_signature_rights: Annotated[str, AfterValidator(_rights)] | None = Field(
        None,
        description="Which key may sign what: KEY_ID:EVENT_TYPE, separated by commas; a key that is not named may then "
        "sign nothing. Unset, each key may sign every type.",
    )

    @property
    def signature_rights(self) -> Mapping[str, frozenset[EventType]] | None:
        """The event types that each key may sign, by its id; None where each may sign all."""
        if self.order_signature_rights is None:
            return None
        pairs = [word.rpartition(":")[::2] for word in words_of(self.order_signature_rights)]
        return {key_id: frozenset(EventType(kind) for other, kind in pairs if other == key_id) for key_id, _ in pairs}

    def signatures(self) -> "Signatures | None":
        """Checks the signatures of records; None where no keys are set.

        Raises:
            WrongSettingsError: the keys cannot be used by now.
        """
        if self.order_signature_keys is None:
            return None
        # For those who want it: the library of signatures takes a while.
        from orders.signatures.keys import KeysError  # noqa: PLC0415
        from orders.signatures.renewed import RenewedKeys  # noqa: PLC0415
        from orders.signatures.signature import Signatures  # noqa: PLC0415

        try:
            keys = RenewedKeys(self.order_signature_keys)
        except KeysError as error:
            raise WrongSettingsError(f"ORDER_SIGNATURE_KEYS {error}") from None
        required = frozenset(map(EventType, words_of(self.order_signatures_required)))
        return Signatures(keys, required, self.signature_rights)


def contradictions(settings: SignatureSettings) -> Iterator[str]:
    """A sentence for each of these settings that cannot be meant: keys that are not there, or weak, among them."""
    if settings.order_signature_keys is None:
        if settings.order_signatures_required:
            yield (
                "ORDER_SIGNATURES_REQUIRED is set without ORDER_SIGNATURE_KEYS: no signature could be checked, and all "
                "such messages would be set aside"
            )
        yield from unused(settings, ["order_signature_rights"], "no ORDER_SIGNATURE_KEYS")
        return
    from orders.signatures.keys import KeysError, read_public_keys  # noqa: PLC0415 - as above

    try:
        keys = read_public_keys(settings.order_signature_keys)
    except KeysError as error:
        yield f"ORDER_SIGNATURE_KEYS {error}"
        return
    rights = settings.signature_rights
    if rights is None:
        return
    # A key that is named and no longer there is none: it was taken away while all went on.
    signed = {kind for key_id, kinds in rights.items() if key_id in keys for kind in kinds}
    for event_type in words_of(settings.order_signatures_required):
        if event_type not in signed:
            yield (
                f"ORDER_SIGNATURES_REQUIRED has {event_type}, and ORDER_SIGNATURE_RIGHTS lets no key of "
                f"ORDER_SIGNATURE_KEYS ({', '.join(sorted(keys))}) sign it: all such messages would be set aside"
            )
