"""Files that are written while others write and read them."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stack.files import write_atomically

WRITERS = 8
TIMES = 50


def test_writers_at_the_same_moment_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    texts = {str(number) * 10_000 for number in range(WRITERS)}

    def write(text: str) -> None:
        for _ in range(TIMES):
            write_atomically(path, text)
            assert path.read_text() in texts

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, texts))
    assert [each.name for each in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("mode", [0o600, 0o700, 0o755])
def test_a_file_has_the_mode_that_was_asked_for(tmp_path: Path, mode: int) -> None:
    write_atomically(tmp_path / "file", "text", mode=mode)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "file", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
