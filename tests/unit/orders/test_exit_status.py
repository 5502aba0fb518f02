"""Every kind of error ends a command with the status that docs/command-line.md promises."""

import pytest

from orders import errors
from orders.errors import OrdersError
from orders.operations.bodies import RefusedBodyError
from orders.processes import exit_status
from orders.processes.exit_status import ExitStatus, exit_status_of


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (OrdersError, 1),
        (errors.UsageError, 2),
        (errors.WrongSettingsError, 2),
        (errors.NotFoundError, 1),
        (errors.UnreachableError, 3),
        (errors.NotInTimeError, 4),
        (errors.NeedsAPersonError, 5),
        (errors.BeginsAnewError, 6),
        (errors.StoppedError, 130),
    ],
)
def test_each_kind_has_its_status(kind: type[OrdersError], status: int) -> None:
    assert exit_status_of(kind("what happened")) == status


def test_every_kind_stands_in_the_table() -> None:
    kinds = {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, OrdersError)}
    assert set(exit_status._STATUSES) == kinds
    # A refusal is an answer and no error, and so is what an audit finds: they are told where answers are.
    answers = {ExitStatus.OK, ExitStatus.REFUSED, ExitStatus.NOT_WHOLE}
    assert set(exit_status._STATUSES.values()) == set(ExitStatus) - answers


def test_a_case_of_a_kind_has_the_kinds_status() -> None:
    assert exit_status_of(RefusedBodyError("order_id is missing")) is ExitStatus.USAGE
