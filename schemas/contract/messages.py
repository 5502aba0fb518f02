"""What the published contract is about: each message with its model, its topic and its direction."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from schemas.event_types import INBOUND
from schemas.outbound import OUTBOUND
from schemas.states import OrderState, ReasonCode

CONTRACT_VERSION: Final = "1.2.0"
ORDER_EVENTS_TOPIC: Final = "order.events"

_OPEN_ENUMERATIONS: Final = (OrderState, ReasonCode)
"""What a later version 1 may add values to: published so that a reader's validator takes values it does not know."""


@dataclass(frozen=True, slots=True)
class ContractMessage:
    """One message of the contract."""

    event_type: str
    model: type[BaseModel]
    topic: str
    mode: Literal["validation", "serialization"]

    @property
    def name(self) -> str:
        """The model's name, under which the message stands in the documents."""
        return self.model.__name__

    @property
    def inbound(self) -> bool:
        """Whether others send it and we read it."""
        return self.mode == "validation"

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its body, definitions included."""
        return _opened(self.model.model_json_schema(mode=self.mode))


def contract_messages() -> list[ContractMessage]:
    """Every message, the inbound ones first."""
    inbound = [ContractMessage(event_type, row.body, row.topic, "validation") for event_type, row in INBOUND.items()]
    outbound = [
        ContractMessage(event_type, row.body, ORDER_EVENTS_TOPIC, "serialization")
        for event_type, row in OUTBOUND.items()
    ]
    return inbound + outbound


def shared_definitions(messages: list[ContractMessage], ref_template: str) -> dict[str, Any]:
    """The JSON Schemas of all messages' models, by name.

    Args:
        messages: the messages.
        ref_template: how one refers to another, with ``{model}`` for its name.
    """
    _, schema = models_json_schema([(message.model, message.mode) for message in messages], ref_template=ref_template)
    definitions: dict[str, Any] = _opened(schema)["$defs"]
    return definitions


def _opened(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.get("$defs", {})
    for enumeration in _OPEN_ENUMERATIONS:
        closed = definitions.get(enumeration.__name__)
        if closed is not None:
            known = {"type": closed.pop("type"), "enum": closed.pop("enum")}
            closed["anyOf"] = [known, {"type": "string", "description": "A value that a later version added."}]
    return schema
