"""Where files go that PostgreSQL's own account must reach."""

import os
import pwd
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stack import accounts
from stack.errors import StackError
from stack.processes import Account


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account that reaches nothing but the shared folder."""
    monkeypatch.setattr(accounts, "SHARED_STATE_DIR", tmp_path / "shared")
    monkeypatch.setattr(accounts, "can_read", lambda *_: False)
    return Account("ours", os.getuid(), os.getgid())


def test_a_folder_out_of_reach_always_has_the_same_stand_in(account: Account, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"

    assert accounts.reachable_dir(one, account) == accounts.reachable_dir(one, account)
    assert accounts.reachable_dir(one, account) != accounts.reachable_dir(other, account)


def test_a_stand_in_goes_when_its_own_folder_was_deleted_and_no_server_uses_it(
    account: Account, tmp_path: Path
) -> None:
    stopped, running = (accounts.reachable_dir(tmp_path / name, account) for name in ("stopped", "running"))
    (running / "data").mkdir()
    (running / "data" / "postmaster.pid").touch()
    (tmp_path / "stopped").rmdir()
    (tmp_path / "running").rmdir()

    kept = accounts.reachable_dir(tmp_path / "kept", account)
    accounts.reachable_dir(tmp_path / "kept", account)

    assert not stopped.exists()
    assert running.exists()
    assert kept.exists()


def test_those_who_start_at_the_same_moment_clear_away_the_same_stand_ins(account: Account, tmp_path: Path) -> None:
    def start_and_delete(name: str) -> None:
        for number in range(20):
            wished = tmp_path / f"{name}-{number}"
            assert accounts.reachable_dir(wished, account).exists()
            wished.rmdir()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start_and_delete, "abcdefgh"))
    accounts.reachable_dir(tmp_path / "last", account)
    assert len(list(accounts.SHARED_STATE_DIR.iterdir())) == 2, "a folder and its note"


def test_who_is_not_root_needs_no_account_and_no_other_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert accounts.postgres_account() is None
    assert accounts.reachable_dir(tmp_path / "mine", None) == tmp_path / "mine"
    assert (tmp_path / "mine").is_dir()


def test_root_takes_the_first_account_that_is_there_and_not_another_root(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"postgres": pwd.struct_passwd(("postgres", "x", 0, 0, "", "/", "")), "nobody": pwd.getpwnam("nobody")}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", known.__getitem__)
    found = accounts.postgres_account()
    assert found is not None
    assert found.name == "nobody"
    del known["postgres"]
    assert accounts.postgres_account() == found
    known.clear()
    with pytest.raises(StackError, match="neither a user 'postgres' nor 'nobody'"):
        accounts.postgres_account()


def test_a_note_that_goes_while_it_is_read_is_passed_over(account: Account, tmp_path: Path) -> None:
    accounts.SHARED_STATE_DIR.mkdir()
    (accounts.SHARED_STATE_DIR / "gone.of").symlink_to("nowhere")
    assert accounts.reachable_dir(tmp_path / "one", account).is_dir()
