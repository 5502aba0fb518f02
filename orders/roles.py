"""What somebody may do here. Pure."""

from enum import StrEnum


class Role(StrEnum):
    """Each may also do all that the ones before it may."""

    VIEWER = "viewer"
    """Look at orders, events and dead letters."""
    APPROVER = "approver"
    """Start, approve and cancel orders, and send them elsewhere."""
    OPERATOR = "operator"
    """Replay dead letters, and whatever else is of the installation and not of one order."""

    @property
    def included(self) -> "frozenset[Role]":
        """The role with all that it includes: as a set, so that to ask is ``Role.VIEWER in roles``."""
        ranked = tuple(Role)
        return frozenset(ranked[: ranked.index(self) + 1])
