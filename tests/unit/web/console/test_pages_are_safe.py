"""Nothing that stands in a record is markup, and nothing on a page comes from elsewhere."""

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orders.web.console import static_files
from orders.web.console.rendering.templates import render
from orders.web.console.static_files import MEDIA_TYPES, static_file, static_url
from tests.helpers.console.gallery import GALLERY
from tests.helpers.console.made_up import HOSTILE

VENDOR = static_files.FOLDER / "vendor"
TEMPLATES = Path(static_files.__file__).parent / "templates"
TEXTS = re.compile(r"[\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT OVERRIDE}\x00-\x08\x0b-\x1f]")


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(markup: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(markup)
    return parser.found


@pytest.mark.parametrize("name", GALLERY)
def test_a_page_has_no_script_and_no_style_but_its_files(name: str) -> None:
    for tag, attributes in elements(GALLERY[name]()):
        assert tag not in ("style", "iframe", "object", "embed", "img", "base"), tag
        assert not [one for one in attributes if one.startswith(("on", "hx-on")) or one == "style"]
        if tag == "script":
            assert (attributes.get("src") or "").startswith("/console/static/")
        for one in ("href", "src", "action", "hx-get", "hx-post", "hx-sse:connect"):
            address = attributes.get(one) or ""
            assert not address.lower().startswith(("javascript:", "data:")), address
            is_ours = address.startswith(("/", "#")) or not address
            assert is_ours or "/namespaces/" in address, f"{address} is elsewhere, and is not Temporal's UI"


@pytest.mark.parametrize("name", GALLERY)
def test_a_page_shows_no_character_that_acts(name: str) -> None:
    assert TEXTS.search(GALLERY[name]()) is None


def test_hostile_texts_are_shown_whole_and_as_text() -> None:
    markup = render("_said.html", title="x", sentence=HOSTILE["a tag"])
    assert "&lt;script&gt;" in markup
    assert "<script>" not in markup


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_takes_anything_for_markup(path: Path) -> None:
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", path.read_text()), "a value would be taken as it stands"


def test_what_others_wrote_is_what_the_manifest_says_byte_for_byte() -> None:
    manifest = json.loads((VENDOR / "manifest.json").read_text())
    said = {file["file"]: file["sha256"] for package in manifest["packages"] for file in package["files"]}
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "manifest.json"
    }
    assert said == there
    for package in manifest["packages"]:
        assert package["name"]
        assert package["version"]
        assert any(file["file"].endswith("LICENSE") for file in package["files"]), "a package comes with its licence"


def test_only_known_files_are_served_and_their_addresses_change_with_them() -> None:
    assert static_file("../templates/base.html") is None
    assert static_file("vendor/manifest.json") is None
    for name in MEDIA_TYPES:
        content = static_file(name)
        assert content
        assert static_url(name).endswith(hashlib.sha256(content).hexdigest()[:12])
    with pytest.raises(KeyError):
        static_url("vendor/manifest.json")
