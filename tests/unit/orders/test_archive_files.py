"""The archive's files: what cannot be written is said, and what does not change is left alone."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from orders.errors import OrdersError
from orders.operations.archive.files import archive_files, discard, rewrite_file, write_file

MADE_AT = datetime(2026, 11, 26, tzinfo=UTC)


def test_a_folder_that_does_not_take_the_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(OrdersError, match="none does not take the archive: No such file or directory"):
        write_file(tmp_path / "none", ["{}"], MADE_AT)


def test_a_file_of_which_nothing_changes_is_left_alone(tmp_path: Path) -> None:
    path = write_file(tmp_path, ['{"order_id":"o-1"}'], MADE_AT)
    before = path.stat().st_ino
    assert rewrite_file(path, lambda _: None) == 0
    assert path.stat().st_ino == before


def test_a_file_that_is_discarded_goes_with_its_checksum(tmp_path: Path) -> None:
    path = write_file(tmp_path, ["{}"], MADE_AT)
    assert archive_files(tmp_path) == [path]
    discard(path)
    assert list(tmp_path.iterdir()) == []
