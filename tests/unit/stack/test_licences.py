"""The licences of what the project is made of: the page is true, and none binds the project or its users."""

import json
import re
from importlib.metadata import distribution

import pytest

from tests.deploy import licences
from tests.deploy.licences import Package, not_to_be_used, packages_by_lock, pinned, vendored_rows

ROWS = [line for line in licences.DOCUMENT.read_text().splitlines() if re.match(r"\| [a-z]", line)]


def test_the_page_lists_every_pinned_package_with_the_licence_that_it_says() -> None:
    listed = [one.row for packages in packages_by_lock().values() for one in packages]
    assert sorted(set(listed) - set(ROWS)) == [], "run make licences"


def test_the_page_lists_nothing_that_is_not_pinned() -> None:
    # On another Python some pins do not apply; so names are compared with all pins.
    every = {
        match["name"]
        for lock in licences.LOCKS
        for line in (licences.ROOT / "requirements" / lock).read_text().splitlines()
        if (match := licences._PIN.match(line))
    }
    named = {row.split("|")[1].strip() for row in ROWS} - {"package"}
    ours = {row.split("|")[1].strip() for row in vendored_rows()}
    assert sorted(named - every - ours) == [], "run make licences"
    assert set(vendored_rows()) <= set(ROWS), "run make licences"


def test_no_licence_binds_the_project_or_its_users() -> None:
    assert not_to_be_used(one for packages in packages_by_lock().values() for one in packages) == []
    for one in json.loads(licences.VENDORED.read_text())["packages"]:
        assert one["licence"] in licences.PERMISSIVE


def test_what_is_run_only_is_in_no_image_and_imported_by_nothing() -> None:
    service = {requirement.name for requirement in pinned("app.txt")}
    assert service.isdisjoint(licences.RUN_ONLY)
    rooms = ("schemas", "activities", "workflows", "bridge", "orders", "migrations")
    modules = "|".join(name.removesuffix("-bin") for name in licences.RUN_ONLY)
    importing = [
        str(path)
        for room in rooms
        for path in (licences.ROOT / room).rglob("*.py")
        if re.search(rf"^\s*(import|from) ({modules})\b", path.read_text(), re.MULTILINE)
    ]
    assert importing == []


@pytest.mark.parametrize("licence", ["AGPL-3.0", "MIT AND GPL-2.0-only", "LGPL-3.0-or-later", "SSPL-1.0"])
def test_a_licence_of_another_kind_is_refused(licence: str) -> None:
    assert not_to_be_used([Package("somebody-s", "1.0", licence)]) != []


def test_the_package_brings_its_own_licence_and_those_of_others() -> None:
    assert distribution("temporal-order-orchestrator").metadata.get_all("License-File") == ["LICENSE", "THIRD_PARTY.md"]
