"""What is in the image, and what is not."""

import json
import re
import subprocess
import tomllib
from typing import Any

import pytest

from tests.image.conftest import Image
from tests.image.stand_in import ROOT, base_name

_LABEL = "org.opencontainers.image."
_CODE_MAX_BYTES = 20_000_000
"""Of the layer with our own code, which comes anew with each release; the packages have one of their own."""

_FIND_UNCOMPILED = """
import importlib.util, os, struct, sys
folder = sys.prefix + "/lib/python3.13/site-packages"
for path, _, names in os.walk(folder):
    for name in names:
        source = os.path.join(path, name)
        if not name.endswith(".py"):
            continue
        try:
            head = open(importlib.util.cache_from_source(source), "rb").read(16)
        except FileNotFoundError:
            print(source, "has none")
            continue
        flags, modified, size = struct.unpack("<4xIII", head)
        if flags == 0 and (modified, size) != (int(os.stat(source).st_mtime), os.stat(source).st_size):
            print(source, "is newer")
print("looked at", folder)
"""


def run_python(image: Image, program: str) -> tuple[int, str]:
    return image.run(entrypoint=["python"], command=["-c", program])


def test_its_labels_say_what_it_was_made_of(image: Image) -> None:
    labels = image.description["Config"]["Labels"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607 - git is where the shell finds it
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert labels[f"{_LABEL}version"] == version
    assert labels[f"{_LABEL}revision"].removesuffix("-changed") == revision
    assert labels[f"{_LABEL}base.name"] == f"docker.io/library/{base_name()}"
    assert "@" not in labels[f"{_LABEL}source"], "no name and no password"


def test_a_change_of_code_makes_one_small_layer(image: Image) -> None:
    layers: list[dict[str, Any]] = image.client.images.get(image.name).history()
    copied = [layer["Size"] for layer in layers if re.search("COPY (dir|file|multi)|COPY /", layer["CreatedBy"])]
    ours, ready, packages = copied
    assert ours < _CODE_MAX_BYTES < packages, copied
    assert ready < 10_000


def test_it_runs_as_an_account_without_rights_that_can_write_nothing_of_its_own(image: Image) -> None:
    who = image.run(entrypoint=["id"], command=["-u"])
    assert who == (0, "10001\n")
    wrote = image.run(entrypoint=["find"], command=["/opt/orders", "/usr/local", "-writable", "-not", "-type", "l"])
    assert wrote == (0, "")


@pytest.mark.parametrize("module", ["stack", "tests", "pip", "jgo", "testcontainers", "pytest"])
def test_neither_local_servers_nor_tests_nor_an_installer_are_in_it(image: Image, module: str) -> None:
    assert run_python(image, f"import importlib.util; print(importlib.util.find_spec('{module}'))") == (0, "None\n")


def test_all_code_is_compiled_as_nothing_can_be_written_where_it_runs(image: Image) -> None:
    status, said = run_python(image, _FIND_UNCOMPILED)
    assert (status, said) == (0, "looked at /opt/orders/lib/python3.13/site-packages\n")


def test_it_lists_all_packages_that_are_in_it_with_their_versions(image: Image) -> None:
    status, listed = image.run(entrypoint=["cat"], command=["/opt/orders/sbom.cdx.json"])
    assert status == 0, listed
    bill = json.loads(listed)
    asked = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"
    status, installed = run_python(image, asked)
    assert status == 0, installed
    ours = bill["metadata"]["component"]
    listed_pairs = {(one["name"].lower(), one["version"]) for one in [ours, *bill["components"]]}
    assert listed_pairs == {(name.lower(), version) for name, version in json.loads(installed)}
    assert ours["name"] == "temporal-order-orchestrator"


def test_it_is_in_production_unless_told_otherwise_and_then_refuses_the_sandbox(image: Image) -> None:
    status, said = image.run(command=["migrate"])
    assert status == 2, said
    assert "ORDERS_ENVIRONMENT=production needs PAYMENT_GATEWAY_URL" in said


def test_a_command_that_needs_local_servers_says_that_there_are_none(image: Image) -> None:
    status, said = image.run(command=["up"])
    assert status == 2, said
    assert "this installation has no local servers, so no `orders up`" in said
