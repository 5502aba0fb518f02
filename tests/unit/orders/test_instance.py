"""Names for local bridges: never two at once under one, and the next start takes up the last one's."""

from pathlib import Path

import pytest

from orders.errors import OrdersError
from orders.local import instance
from orders.local.instance import bridge_instance_id


def test_two_at_once_have_two_names_and_the_next_one_takes_up_what_is_free(tmp_path: Path) -> None:
    with bridge_instance_id(tmp_path) as first:
        with bridge_instance_id(tmp_path) as second:
            assert first != second
        with bridge_instance_id(tmp_path) as third:
            assert third == second
    with bridge_instance_id(tmp_path) as again:
        assert again == first


def test_another_folder_has_other_names(tmp_path: Path) -> None:
    with bridge_instance_id(tmp_path / "a") as one, bridge_instance_id(tmp_path / "b") as other:
        assert one != other


def test_where_all_names_are_taken_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "NAMES_MAX", 1)
    with (
        bridge_instance_id(tmp_path),
        pytest.raises(OrdersError, match=r"bridges run from .* already"),
        bridge_instance_id(tmp_path),
    ):
        pass
