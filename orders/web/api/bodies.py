"""Bodies of requests: read within bounds, held to the message contract, and said what is wrong field by field."""

import asyncio
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from bridge import ReadLimits, RefusedError
from bridge.reading.json_text import parse_object
from bridge.reading.models import what_is_wrong
from orders.web.context import WebContext
from orders.web.handlers import json_pointer
from orders.web.header_fields import header_of, media_type_of
from orders.web.problems import FieldError, Problem
from orders.web.waiting import ClientGoneError
from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundBody
from schemas.order import AddressUpdate

BODY_SECONDS_MAX: Final = 10.0
"""How long a body may take to come."""
_READ_TIMES: Final = 4
"""Of a body that is too long, so many times the limit is read and thrown away. A connection that is closed while
something is unread is reset, and the client may lose the answer that says why."""
_ERRORS_MAX: Final = 50
"""Most mistakes that one answer lists."""
_JSON: Final = "application/json"
_UTF_8: Final = frozenset({"utf-8", "utf8"})

_OF_A_BODY: Final = frozenset({"content-length", "transfer-encoding"})
"""One of them tells that a request has a body (RFC 9112, section 6)."""

ADDRESS: Final = "address"
BY: Final = frozenset({"approved_by", "cancelled_by", "updated_by"})
NOT_IN_A_BODY: Final = {
    "event_id": "has no place here: send it as the header Idempotency-Key",
    **dict.fromkeys(sorted(BY), "has no place here: it is who you are signed in as"),
}
"""Fields of messages that are told otherwise over HTTP."""


async def read_json(request: Request, web: WebContext) -> dict[str, Any]:
    """The body as an object; an empty one where there is no body.

    Args:
        request: whose body.
        web: says how long it may be, and when the process stops and waits for it no longer.

    Raises:
        Problem: it is too large, too slow, no JSON, or not said to be JSON; or the process stops.
        ClientGoneError: the client went away before all of it was there.
    """
    max_bytes = web.settings.api_body_max_bytes
    body = await read_bytes(request, web, max_bytes)
    if not body:
        return {}
    try:
        return parse_object(body, ReadLimits(max_bytes))
    except RefusedError as error:
        refusal = error.refusal
        found = FieldError(refusal.message, pointer="", code=refusal.code)
        raise Problem("body_not_json", refusal.message, errors=[found]) from None


async def read_bytes(request: Request, web: WebContext, max_bytes: int) -> bytes:
    """The bytes of a body that says that it is JSON; none where there is no body.

    Args:
        request: whose body.
        web: says when the process stops and waits for it no longer.
        max_bytes: longest that is taken.

    Raises:
        Problem: it is too large, too slow, or not said to be JSON; or the process stops.
        ClientGoneError: the client went away before all of it was there.
    """
    headers = request.headers
    if headers.get("content-length") == "0" or not any(name in headers for name in _OF_A_BODY):
        return b""
    reading = asyncio.create_task(_read(request, max_bytes), name="body")
    ending = asyncio.create_task(web.stopping.wait(), name="process stopping")
    try:
        await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            raise Problem("stopping", "the body was not there yet", headers={"Connection": "close"})
        body = reading.result()
    finally:
        reading.cancel()
        ending.cancel()
        await asyncio.gather(reading, ending, return_exceptions=True)
    if not body:
        return b""
    if not is_json(header_of(headers, "content-type") or ""):
        raise Problem("body_not_supported", "the body's Content-Type is not application/json in UTF-8")
    if (header_of(headers, "content-encoding") or "identity").strip().lower() != "identity":
        raise Problem("body_not_supported", "the body has a Content-Encoding; send it as it is")
    return body


def is_json(content_type: str) -> bool:
    """Whether a body of this type is JSON in UTF-8; parameters that JSON does not have change nothing (RFC 8259)."""
    if content_type == _JSON:
        return True
    media_type = media_type_of(content_type)
    return (
        media_type is not None
        and media_type.type == "application"
        and (media_type.subtype == "json" or media_type.subtype.endswith("+json"))
        and media_type.parameters.get("charset", "utf-8").lower() in _UTF_8
    )


async def _read(request: Request, max_bytes: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > _READ_TIMES * max_bytes:
        raise _too_large(max_bytes)
    body, came = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for part in request.stream():
                came += len(part)
                if came <= max_bytes:
                    body += part
                elif came > _READ_TIMES * max_bytes:
                    break
    except TimeoutError:
        raise Problem("body_too_slow", f"the body was not there within {BODY_SECONDS_MAX:g} s") from None
    except ClientDisconnect:
        raise ClientGoneError from None
    if came > max_bytes:
        raise _too_large(max_bytes)
    return bytes(body)


def _too_large(max_bytes: int) -> Problem:
    # The rest of the body, if any, is not read: the connection cannot be used for another request.
    return Problem("body_too_large", f"the body has more than {max_bytes} bytes", headers={"Connection": "close"})


def read_message(
    event_type: EventType, order_id: str, fields: dict[str, Any], *, by: str, event_id: str
) -> InboundBody:
    """The message that a request's body stands for, by the contract's own model.

    Args:
        event_type: what happened.
        order_id: from the path.
        fields: the body. An address may stand in it without a wrapper, as its fields.
        by: who sends the request, and so decides.
        event_id: names the request.

    Raises:
        Problem: names each field that breaks the contract.
    """
    model = INBOUND[event_type].body
    given, prefix = _unwrapped(model, fields)
    ours = {"order_id": order_id, "event_id": event_id, **dict.fromkeys(BY & model.model_fields.keys(), by)}
    errors = [
        FieldError(sentence, pointer=f"/{name}")
        for name, sentence in NOT_IN_A_BODY.items()
        if fields.get(name) is not None
    ]
    if fields.get("order_id", order_id) != order_id:
        errors.append(FieldError("is not the order of the address: leave it out", pointer="/order_id"))
    try:
        message = model.model_validate({**given, **ours})
    except ValidationError as error:
        for detail in error.errors(include_url=False)[:_ERRORS_MAX]:
            code, sentence = what_is_wrong(detail)
            place = detail["loc"][1:] if prefix and detail["loc"][:1] == (prefix,) else detail["loc"]
            errors.append(FieldError(sentence, pointer=json_pointer(place), code=code))
    if errors:
        said = "; ".join(f"{error.pointer or 'the body'} {error.detail}" for error in errors)
        raise Problem("request_invalid", said, errors=errors)
    return message


def _unwrapped(model: type[InboundBody], fields: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The body as its topic has it, and which of its members the request left the wrapper of out."""
    own = model.model_fields
    if ADDRESS not in own or ADDRESS in fields:
        return fields, None
    beside = {name: value for name, value in fields.items() if name in own}
    return {**beside, ADDRESS: {name: value for name, value in fields.items() if name not in own}}, ADDRESS


_REF: Final = "#/components/schemas/{model}"


# Descriptions --------------------------------------------------------------------------------------------------------


def body_schema(event_type: EventType) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON Schema of a request's body, and those of its parts by name."""
    model = INBOUND[event_type].body
    schema = model.model_json_schema(mode="validation", ref_template=_REF)
    parts = schema.pop("$defs", {})
    for name in ("order_id", *NOT_IN_A_BODY):
        schema["properties"].pop(name, None)
    schema["propertyNames"] = _names(schema["propertyNames"])
    required = [name for name in schema.pop("required", []) if name != "order_id"]
    if ADDRESS in model.model_fields:
        fields = AddressUpdate.model_json_schema(mode="validation", ref_template=_REF)
        fields["propertyNames"] = _names(fields["propertyNames"])
        fields["properties"] |= {name: one for name, one in schema["properties"].items() if name != ADDRESS}
        parts |= {"AddressFields": fields, "AddressWrapped": {**schema, "required": required}}
        return {"anyOf": [{"$ref": _REF.format(model=name)} for name in ("AddressFields", "AddressWrapped")]}, parts
    return {**schema, **({"required": required} if required else {})}, parts


def _names(allowed: dict[str, Any]) -> dict[str, Any]:
    """Which names a body's fields may have: what the request says otherwise is none of them."""
    return {"allOf": [allowed, {"not": {"enum": ["order_id", *NOT_IN_A_BODY]}}]}


def example_of(event_type: EventType) -> dict[str, Any]:
    """A body, from the contract's own example."""
    left_out = {"order_id", *NOT_IN_A_BODY}
    return {name: value for name, value in INBOUND[event_type].example.items() if name not in left_out}


def json_body(component: str, *, required: bool, examples: dict[str, Any] | None = None) -> dict[str, Any]:
    """How a route's body is described, for its ``openapi_extra``.

    Args:
        component: the name of its schema.
        required: whether there must be one.
        examples: bodies by name.
    """
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{component}"}}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": required, "content": {"application/json": content}}}
