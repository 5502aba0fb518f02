"""Sentences about two settings that cannot both be meant. Each group's file says which of its pairs those are."""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel


def too_short(settings: BaseModel, pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """For each pair of spans of which the second is shorter than the first, and must not be.

    Args:
        settings: has both; a second one that is None has no limit.
        pairs: names of fields: (must not be longer, than this).
    """
    for shorter, longer in pairs:
        low, high = getattr(settings, shorter), getattr(settings, longer)
        if high is not None and low > high:
            yield (
                f"{longer.upper()} ({high:g}) is below {shorter.upper()} ({low:g}): raise the first or lower the second"
            )


def unused(settings: BaseModel, names: Iterable[str], because: str) -> Iterator[str]:
    """For each of these fields that is set: a credential that is silently not used is a mistake, often a dangerous one.

    Args:
        settings: has the fields.
        names: of the fields.
        because: the setting that leaves them unused, as ``NAME=value``.
    """
    for name in sorted(names):
        if getattr(settings, name) is not None:
            yield f"{name.upper()} is set, but with {because} it would not be used: unset the one or change the other"


def half_a_pair(settings: BaseModel, certificate: str, key: str) -> Iterator[str]:
    """Where a certificate is set without its key, or a key without its certificate."""
    if (getattr(settings, certificate) is None) != (getattr(settings, key) is None):
        yield f"{certificate.upper()} and {key.upper()} are set together or not at all"
