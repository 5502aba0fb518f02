import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """`orders`, in a folder of its own, as a clone's wrapper is."""
    program = tmp_path / "orders"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orders "$@"\n')
    program.chmod(0o755)
    return program


def run(command: list[str], **variables: str) -> str:
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout


@pytest.mark.parametrize(
    ("typed", "follows"),
    [
        (["dl"], {"dlq"}),
        (["dlq", ""], {"list", "show", "replay", "purge"}),
        (["health", ""], {"bridge", "worker", "api"}),
        (["dlq", "list", "--re"], {"--reason"}),
        (["list", "--state", "val"], {"validated"}),
        (["list", "--state", "CA"], {"CANCELLED", "CARRIER_DISPATCHED"}),
        (["api-keys", "create", "shop", "--role", "appr"], {"approver"}),
    ],
)
def test_bash_completes_commands_options_and_choices_also_behind_a_path(
    program: Path, typed: list[str], follows: set[str]
) -> None:
    words = " ".join(f"'{word}'" for word in [str(program), *typed])
    script = (
        f"source <('{program}' completion bash); "
        "complete -p orders >/dev/null || exit 1; "
        f"COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _orders_completion '{program}'; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert set(run(["bash", "-c", script]).split()) == follows


def test_zsh_and_fish_are_answered_in_their_own_form(program: Path) -> None:
    zsh = run([str(program)], _ORDERS_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="orders dlq ")
    assert '"list":"List dead letters' in zsh
    fish = run(
        [str(program)],
        _ORDERS_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS="orders dlq ",
    )
    assert "list\tList dead letters" in fish


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_has_its_shell_ask_the_program_that_was_typed(program: Path, shell: str) -> None:
    script = run([str(program), "completion", shell])
    assert f"_ORDERS_COMPLETE=complete_{shell}" in script
    assert {"bash": '"$1"', "zsh": '"${words[1]}"', "fish": "$words[1]"}[shell] in script
