"""``python -m tests.mutation [MODULE ...]``: gives each module its mistakes, one after the other, and runs its tests.

Each mistake is run in a process of its own, forked from this one, so that the libraries are imported once. Prints every
mistake that no test found, and the share of those that were found; the exit status is 0 if that is as large as it has
to be.
"""

import argparse
import ast
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import math
import os
import random
import resource
import select
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import hypothesis
import pytest

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.tables import EQUIVALENT, TESTS

ROOT: Final = Path(__file__).parents[2]
SHARE_MIN: Final = 0.95
TIMES_AS_LONG: Final = 6
"""Tests that take so many times as long as without the mistake have found it: a loop has no end."""
LEAST_SECONDS: Final = 20.0
"""Of the processor, as the above."""
WAITS_AS_LONG: Final = 30
"""Tests that wait take none of the processor: they may take so many times as long by the clock."""
PLUGINS: Final = ("pytest_asyncio.plugin", "pytest_timeout")
OFFSETS_EXAMPLES: Final = 100
"""Of the state machine of offsets, which has ten times as many in the suite, and finds few mistakes that a tenth of
them does not."""
OURS: Final = frozenset({"activities", "bridge", "orders", "schemas", "stack", "tests", "workflows"})


@dataclass(frozen=True)
class _One(importlib.abc.Loader, importlib.abc.MetaPathFinder):
    """Imports one module from another tree than its file has."""

    name: str
    path: Path
    tree: ast.Module

    def find_spec(self, fullname: str, _path: Any, _target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Only this module."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def create_module(self, _spec: Any) -> None:
        """As by default."""
        return

    def exec_module(self, module: ModuleType) -> None:
        """Runs the tree, where the file's text would be run."""
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)  # noqa: S102 -- our own code, with a mistake


def main() -> int:
    """Runs what is asked for; 0 if enough of the mistakes were found."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(TESTS)}; all without any")
    parser.add_argument("--sample", type=int, default=0, help="so many mistakes of each module, at random; 0 for all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    arguments = parser.parse_args()
    os.environ["OFFSETS_EXAMPLES"] = str(OFFSETS_EXAMPLES)
    _import_libraries()
    # One example that fails is enough, so none is made smaller; and each run of a mistake draws the same ones.
    hypothesis.settings.register_profile(
        "mutation",
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("mutation")
    found = tried = 0
    for module in arguments.modules or TESTS:
        chosen = _chosen(module, arguments.sample, arguments.seed)
        missed = _missed(module, chosen)
        found, tried = found + len(chosen) - len(missed), tried + len(chosen)
        _say(f"{module}: {len(chosen) - len(missed)} of {len(chosen)} mistakes were found")
    _say(f"{found} of {tried}: {found / max(1, tried):.1%}, of which {SHARE_MIN:.0%} are asked")
    return 0 if found >= SHARE_MIN * tried else 1


def _import_libraries() -> None:
    """Imports here what the tests import that is none of ours, once for all: it is most of what a run costs."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        every_test = [str(ROOT / test) for tests in TESTS.values() for test in tests]
        _pytest(["--collect-only", *every_test], plugins=[_Imported(writing)])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        names = told.read().split()
    os.waitpid(child, 0)
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


@dataclass(frozen=True)
class _Imported:
    """Tells what has been imported once all tests are known."""

    descriptor: int

    def pytest_collection_finish(self) -> None:
        names = [name for name in sys.modules if name.partition(".")[0] not in OURS and not name.startswith("__")]
        with os.fdopen(self.descriptor, "w") as told:
            told.write("\n".join(names))


def _chosen(module: str, sample: int, seed: int) -> list[Mutant]:
    source = _path(module).read_text(encoding="utf-8")
    every = [one for one in mutants(source) if (module, one.text, one.says) not in EQUIVALENT]
    if 0 < sample < len(every):
        chosen = random.Random(seed).sample(range(len(every)), sample)  # noqa: S311 -- no secret
        every = [every[at] for at in sorted(chosen)]
    return every


def _missed(module: str, chosen: Sequence[Mutant]) -> list[Mutant]:
    began_at = _processor_seconds()
    if _fails(module, None, LEAST_SECONDS * 30):
        raise SystemExit(f"the tests of {module} fail without any mistake")
    limit_seconds = max(LEAST_SECONDS, TIMES_AS_LONG * (_processor_seconds() - began_at))
    missed = []
    for one in chosen:
        if not _fails(module, one, limit_seconds):
            missed.append(one)
            _say(f"  missed: {module}:{one.line}: {one.says} in `{one.text}`")
    if _fails(module, None, LEAST_SECONDS * 30):
        raise SystemExit(f"the tests of {module} fail by now without any mistake: something was changed meanwhile")
    return missed


def _processor_seconds() -> float:
    """What the runs so far have taken of the processor: how long they took depends on what else it had to do."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _fails(module: str, mutant: Mutant | None, limit_seconds: float) -> bool:
    """Whether a test of the module fails in a process where it has the mistake."""
    child = os.fork()
    if child == 0:
        status = 3
        try:
            os.setpgid(0, 0)
            limit = math.ceil(limit_seconds)
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            status = _run(module, mutant)
        finally:
            os._exit(status)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    return _end_of(child, WAITS_AS_LONG * limit_seconds) != 0


def _run(module: str, mutant: Mutant | None) -> int:
    if mutant is not None:
        sys.meta_path.insert(0, _One(module, _path(module), mutant.tree))
    return _pytest([str(ROOT / test) for test in TESTS[module]])


def _pytest(arguments: Sequence[str], plugins: Sequence[object] = ()) -> int:
    """Runs tests of ours in this process, without a word."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    # What is imported already is not rewritten for assertions, and none of it makes any.
    options = ["-x", "-q", "--timeout=0", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    # These tests need no servers, and so none of the fixtures and plugins that take longer to load than they run.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    few = ["--noconftest", *(part for name in PLUGINS for part in ("-p", name))]
    return int(pytest.main([*options, *few, *arguments], plugins=plugins))


def _end_of(child: int, limit_seconds: float) -> int:
    """The exit status of a process; one that takes too long is ended, with all that it started."""
    descriptor = os.pidfd_open(child)
    try:
        ended, _, _ = select.select([descriptor], [], [], limit_seconds)
    finally:
        os.close(descriptor)
    if not ended:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _path(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
