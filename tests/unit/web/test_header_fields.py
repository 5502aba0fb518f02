"""Header fields by their grammar: what is taken, and what is half of something and is not."""

import time

import pytest
from starlette.datastructures import Headers

from orders.web.api.bodies import is_json
from orders.web.event_stream import MEDIA_TYPE
from orders.web.header_fields import (
    EntityTag,
    elements,
    entity_tags,
    header_of,
    media_type_of,
    preferences,
    weight_of,
)

STREAM, JSON = ("text", "event-stream"), ("application", "json")


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("", []),
        (",, ,", []),
        ("a", ["a"]),
        ("a, b ,,c", ["a", "b", "c"]),
        ('a="x, y", b', ['a="x, y"', "b"]),
        (r'a="\", b", c', [r'a="\", b"', "c"]),
        ('a, "b', None),
        ('a", b', None),
    ],
)
def test_a_list_is_cut_at_commas_that_are_not_quoted(field: str, found: list[str] | None) -> None:
    assert elements(field) == found


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ('"7"', [EntityTag("7")]),
        ('W/"7"', [EntityTag("7", is_weak=True)]),
        ('"1","2"', [EntityTag("1"), EntityTag("2")]),
        ('"1", W/"2" ,\t"x"', [EntityTag("1"), EntityTag("2", is_weak=True), EntityTag("x")]),
        (', "1",, ', [EntityTag("1")]),
        ('""', [EntityTag("")]),
        ('"a,b"', [EntityTag("a,b")]),
        # In an entity tag a backslash is a character as any other (RFC 9110, section 8.8.3).
        ('"a\\"', [EntityTag("a\\")]),
    ],
)
def test_entity_tags_are_read_weak_strong_and_in_lists(field: str, found: list[EntityTag]) -> None:
    assert entity_tags(field) == found


@pytest.mark.parametrize(
    "field", ['"2', '2"', "2", "", " ", ",", '"1" "2"', '"1"2', 'w/"1"', 'W/ "1"', '"a b"', "'1'", '*, "1"', '"1", *']
)
def test_what_is_half_an_entity_tag_is_none(field: str) -> None:
    assert entity_tags(field) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json ; Charset=utf8",
        "application/json;",
        'application/json; profile="https://example.org/a;b"; charset=utf-8',
        "application/cloudevents+json",
        "application/vnd.example.v1+json; charset=utf-8",
    ],
)
def test_json_is_known_whatever_parameters_it_has(content_type: str) -> None:
    assert is_json(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application",
        "text/json",
        "text/plain",
        "application/jsonx",
        "application/json; charset=latin-1",
        'application/json; charset="utf-8',
        'application/json; charset=utf-8"',
        "application/json; charset=utf-8; charset=latin-1",
        "application/json; charset",
        "application/json charset=utf-8",
        "application/json, application/json",
        "application/json, text/plain",
        "application/*",
    ],
)
def test_what_is_not_json_in_utf_8_or_half_quoted_is_not_taken_for_it(content_type: str) -> None:
    assert not is_json(content_type)


def test_a_media_type_is_read_with_its_parameters() -> None:
    found = media_type_of(r'Text/HTML ; Level="1\"2";q=0.5')
    assert found is not None
    assert (found.type, found.subtype, found.parameters) == ("text", "html", {"level": '1"2', "q": "0.5"})


@pytest.mark.parametrize(
    ("accept", "stream", "json"),
    [
        (None, (1.0, 0), (1.0, 0)),
        ("", (1.0, 0), (1.0, 0)),
        ("*/*", (1.0, 0), (1.0, 0)),
        ("text/event-stream", (1.0, 2), (0.0, 0)),
        ("text/*;q=0.5, */*;q=0.1", (0.5, 1), (0.1, 0)),
        # The most exact range counts, also where it wants less.
        ("text/*, text/event-stream;q=0.2", (0.2, 2), (0.0, 0)),
        ("*/*, text/event-stream;q=0", (0.0, 2), (1.0, 0)),
        ("text/event-stream;q=0.000", (0.0, 2), (0.0, 0)),
        # Malformed weights and ranges are as if they were not given.
        ("text/event-stream;q=2", (0.0, 0), (0.0, 0)),
        ("text/event-stream;q=0.1234, application/json", (0.0, 0), (1.0, 2)),
        ("nonsense", (1.0, 0), (1.0, 0)),
        ('a/b;c=", text/event-stream', (1.0, 0), (1.0, 0)),
    ],
)
def test_a_form_is_wanted_as_much_as_accept_says(
    accept: str | None, stream: tuple[float, int], json: tuple[float, int]
) -> None:
    assert weight_of(accept, *STREAM) == stream
    assert weight_of(accept, *JSON) == json
    assert tuple(MEDIA_TYPE.split("/")) == STREAM


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (None, []),
        ("wait=5", [("wait", "5")]),
        ('Wait = "5"', [("wait", "5")]),
        ("respond-async, wait=5; strict", [("respond-async", "")]),
        ("wait=5; strict=yes", [("wait", "5")]),
        ('note="a, wait=5"', [("note", "a, wait=5")]),
        ('wait="5', []),
        ('wait=5"', []),
    ],
)
def test_preferences_are_read_and_what_is_malformed_is_not_given(
    field: str | None, found: list[tuple[str, str]]
) -> None:
    assert list(preferences(field)) == found


def test_a_header_of_several_lines_is_their_list_so_that_no_line_is_passed_over() -> None:
    headers = Headers(raw=[(b"if-match", b'"1"'), (b"prefer", b"wait=5"), (b"if-match", b'"2"')])
    assert header_of(headers, "If-Match") == '"1", "2"'
    assert header_of(headers, "If-None-Match") is None


@pytest.mark.parametrize("part", ['"', ",", "; ", ";  a=b ", 'a="\\', " ,", 'W/"', '"a" ', "a/b; ", "=\t;"])
def test_no_header_takes_long_to_read(part: str) -> None:
    """uvicorn takes headers of up to 64 KiB; a pattern that tries a blank in two ways would take for ever."""
    began = time.process_time()
    field = part * (60_000 // len(part))
    for text in (field, f"a/b{field}", f"a/b{field}\x00", f"wait=5{field}\x00"):
        elements(text), entity_tags(text), media_type_of(text), list(preferences(text)), weight_of(text, *JSON)
    assert time.process_time() - began < 5
