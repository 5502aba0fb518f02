"""What was found when a connection or a right was tried. Pure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a try came out."""

    OK = "ok"
    MISSING = "missing"
    """Orders cannot run, or one kind of process cannot."""
    LIMITED = "limited"
    """Orders run; a command for operators, or something else beside them, does not."""
    UNKNOWN = "unknown"
    """The server does not say."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One try."""

    server: str
    """`kafka`, `temporal`, `postgres`, `payment gateway`, `carrier gateway`, or `settings`."""
    what: str
    """What was tried, in a few words."""
    verdict: Verdict
    detail: str
    """What was found, as a sentence."""
    action: str | None = None
    """What to do about it; None where nothing has to be done."""


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding for a program."""
    return asdict(finding)


def is_usable(findings: Iterable[Finding]) -> bool:
    """Whether nothing that orders need is missing."""
    return all(one.verdict is not Verdict.MISSING for one in findings)
