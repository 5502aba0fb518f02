"""docs/tutorial.md as its reader meets it: every command, in its order, on real servers, and what is seen."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.system.processes import clean_environment, free_port
from tests.helpers.system.waiting import assert_eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
BLOCK = re.compile(r"^```(console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
START_SECONDS, STEP_SECONDS, PATIENCE_SECONDS = 300.0, 400.0, 90.0
NOT_COPIED = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".hypothesis")
GIT = {f"GIT_{who}_{what}": "reader@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
CHANGING = re.compile(r"\d\d:\d\d:\d\d|:\d{4,5}(?=/|\b)|…|\s+")
"""What differs from run to run: times and ports, what the page leaves out, and how wide a column is."""


@dataclass(frozen=True)
class Step:
    """One block of commands, and what the page says is seen."""

    commands: str
    seen: tuple[str, ...]

    @property
    def last(self) -> str:
        """The last command, which only looks."""
        return self.commands.strip().splitlines()[-1]


def steps_of(page: str) -> list[Step]:
    steps: list[Step] = []
    for kind, content in BLOCK.findall(page):
        if kind == "console":
            steps.append(Step(content, ()))
        else:
            steps[-1] = Step(steps[-1].commands, (*steps[-1].seen, *content.strip().splitlines()))
    return steps


def pattern_of(line: str) -> re.Pattern[str]:
    """What a line of the page stands for."""
    between = [re.escape(part) for part in CHANGING.split(line.strip())]
    changing = [r"\s+" if found[0].isspace() else r".*" for found in CHANGING.findall(line.strip())]
    return re.compile("".join(a + b for a, b in zip(between, [*changing, ""], strict=True)))


def missing(seen: tuple[str, ...], output: str) -> list[str]:
    """The lines of the page that do not stand in the output, one behind the other."""
    rest = iter(output.splitlines())
    return [line for line in seen if not any(pattern_of(line).search(one) for one in rest)]


@dataclass
class Reader:
    """A reader's clone, two terminals, and what stands in the first one."""

    clone: Path
    environment: dict[str, str]
    port: int
    first_terminal: Path
    up: "subprocess.Popen[bytes] | None" = None

    def start(self, commands: str) -> None:
        with self.first_terminal.open("wb") as output:
            self.up = subprocess.Popen(
                ["/bin/bash", "-c", commands],
                cwd=self.clone,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, commands: str) -> tuple[int, str]:
        commands = commands.replace("localhost:8000", f"localhost:{self.port}")
        commands = commands.replace("127.0.0.1:9464", self.bridge_figures) if "127.0.0.1:9464" in commands else commands
        commands = re.sub(r"^PID=\d+$", lambda _: f"PID={self.worker}", commands, flags=re.MULTILINE)
        ended = subprocess.run(
            ["/bin/bash", "-euc", commands],
            cwd=self.clone,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )
        return ended.returncode, ended.stdout + ended.stderr

    @property
    def seen_first(self) -> str:
        return self.first_terminal.read_text(errors="replace")

    @property
    def bridge_figures(self) -> str:
        found = re.search(r"^metrics +bridge http://(127\.0\.0\.1:\d+)/metrics", self.seen_first, re.MULTILINE)
        assert found, self.seen_first
        return found[1]

    @property
    def worker(self) -> int:
        return int(re.findall(r"^worker order-tq .*process\.started .*pid=(\d+)", self.seen_first, re.MULTILINE)[-1])

    def leave(self) -> None:
        """Ctrl-C in the first terminal: everything in it gets the signal."""
        assert self.up is not None
        os.killpg(self.up.pid, signal.SIGINT)
        assert self.up.wait(PATIENCE_SECONDS) == 0, self.seen_first[-3_000:]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A clone of one's own, so that the page may change it; its commands use the environment that there is."""
    clone = tmp_path / "clone"
    shutil.copytree(ROOT, clone, ignore=NOT_COPIED, symlinks=True)
    programs = Path(sys.executable).parent
    (clone / "bin" / "in-env").write_text(f'#!/bin/sh\nPATH="{programs}:$PATH" PYTHONPATH="{clone}" exec "$@"\n')
    port = free_port()
    settings = {"XDG_STATE_HOME": str(tmp_path / "state"), "STACK_SOURCE": "native", "API_PORT": str(port), **GIT}
    environment = clean_environment({**settings, "LOG_FORMAT": "console"})
    one = Reader(clone, environment, port, tmp_path / "first-terminal")
    status, said = one.run("git init -q . && git add -A && git commit -qm 'a clone'")
    assert status == 0, said
    yield one
    if one.up is not None and one.up.poll() is None:
        os.killpg(one.up.pid, signal.SIGTERM)
        one.up.wait(PATIENCE_SECONDS)


async def test_every_step_of_the_tutorial_comes_out_as_the_page_says(reader: Reader) -> None:
    first, *others = steps_of(PAGE)
    reader.start(first.commands)

    def started() -> bool:
        assert reader.up is not None
        if reader.up.poll() is not None:
            pytest.fail(f"it ended by itself\n{reader.seen_first}")
        return missing(first.seen, reader.seen_first) == []

    await assert_eventually(started, START_SECONDS, lambda: reader.seen_first[-3_000:])
    for step in others:
        status, output = reader.run(step.commands)
        assert status == 0, f"{step.commands}\n{output}"
        if missing(step.seen, output):
            # It comes a moment later: whoever reads the page looks again.
            await _look_again(reader, step, output)
    assert re.search(r"worker order-tq was ended by SIGKILL", reader.seen_first)
    reader.leave()


async def _look_again(reader: Reader, step: Step, before: str) -> None:
    output = ""

    def comes() -> bool:
        nonlocal output
        output = before + reader.run(step.last)[1]
        return missing(step.seen, output) == []

    await assert_eventually(
        comes, PATIENCE_SECONDS, lambda: f"{step.commands}\nmissing: {missing(step.seen, output)}\n{output[-3_000:]}"
    )


def test_the_page_s_lines_are_compared_as_they_are_meant() -> None:
    seen = ("1  RECEIVED ← order.created", "key …, at 12:00:00", "http://127.0.0.1:8000/console")
    good = "05:00  1  RECEIVED  ← order.created\nkey k-1, at 23:59:59\nhttp://127.0.0.1:40123/console"
    assert missing(seen, good) == []
    assert missing(seen, good.replace("order.created", "order.approved")) == list(seen)
    assert missing(seen[:1], "11  RECEIVING") == list(seen[:1])
    assert [step.last for step in steps_of("```console\na\nb\n```\n```text\nc\n```\n")] == ["b"]
