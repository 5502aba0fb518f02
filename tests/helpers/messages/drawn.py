"""Draws messages from a published JSON Schema: of the keywords that our schemas use, and no others.

hypothesis-jsonschema 0.23 would draw from any, and does not run with the hypothesis of today (tried 2026-11-25).
"""

from typing import Any, Final

from hypothesis import strategies as st

Schema = dict[str, Any]

_ADDED_NAMES: Final = st.sampled_from(["colour", "orders", "id", "naïve", "x" * 70])
_SAYS_NOTHING: Final = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$defs", "format"})
_DRAWN_BY: Final = {
    "string": frozenset({"type", "pattern", "maxLength", "enum"}),
    "integer": frozenset({"type", "minimum", "maximum"}),
    "array": frozenset({"type", "items", "maxItems"}),
    "object": frozenset({"type", "properties", "required", "propertyNames", "not"}),
    "null": frozenset({"type"}),
}
"""The keywords of each type. `not` and `propertyNames` are left to the caller, who drops what they refuse."""


def from_schema(schema: Schema, root: Schema | None = None) -> st.SearchStrategy[Any]:
    """Values that the schema takes, as long as `not` and `propertyNames` do.

    Args:
        schema: What is drawn from.
        root: The document that its references are into; None where that is the schema.

    Raises:
        AssertionError: It has a keyword that is not known here.
    """
    root = root or schema
    if "$ref" in schema:
        return from_schema(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return st.one_of([from_schema(one, root) for one in schema["anyOf"]])
    unknown = set(schema) - _SAYS_NOTHING - _DRAWN_BY[schema["type"]]
    if unknown:
        raise AssertionError(f"nothing is known here of {unknown}")
    return {"string": _texts, "integer": _integers, "array": _arrays, "object": _objects, "null": _nulls}[
        schema["type"]
    ](schema, root)


def _nulls(_schema: Schema, _root: Schema) -> st.SearchStrategy[Any]:
    return st.none()


def _texts(schema: Schema, _root: Schema) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    longest = schema.get("maxLength", 600)
    if "pattern" not in schema:
        return st.text(max_size=longest)
    # Python's `$` matches before a last line end as well, and that of JSON Schema does not.
    drawn = st.from_regex(schema["pattern"].removesuffix("$") + r"\Z")
    return (drawn | st.sampled_from(["x" * longest, " "])).filter(lambda text: len(text) <= longest)


def _integers(schema: Schema, _root: Schema) -> st.SearchStrategy[Any]:
    least, most = schema["minimum"], schema["maximum"]
    whole = st.integers(least, most) | st.sampled_from([least, most])
    return whole | whole.map(float)


def _arrays(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    return st.lists(from_schema(schema["items"], root), max_size=min(3, schema.get("maxItems", 3)))


def _objects(schema: Schema, root: Schema) -> st.SearchStrategy[Any]:
    fields = {name: from_schema(one, root) for name, one in schema["properties"].items()}
    needed = set(schema.get("required", ()))
    known = st.fixed_dictionaries(
        {name: drawn for name, drawn in fields.items() if name in needed},
        optional={name: drawn for name, drawn in fields.items() if name not in needed},
    )
    added = st.dictionaries(_ADDED_NAMES, st.none() | st.integers(-9, 9) | st.text(max_size=9), max_size=2)
    return st.builds(lambda one, more: {**one, **more}, known, added)
