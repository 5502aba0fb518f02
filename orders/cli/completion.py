"""``orders completion``."""

import sys
from enum import StrEnum
from typing import Annotated, Final

import typer

from orders.cli.app import COMPLETE_VARIABLE
from orders.cli.common import command_app

app = command_app()


class Shell(StrEnum):
    """Shells that can be told."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS: Final = {
    # Each asks the program that was typed, by typer's protocol. All three shells also find `orders` behind a path.
    Shell.BASH: """\
_orders_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" %s=complete_bash "$1" 2>/dev/null ) )
    return 0
}
complete -o default -F _orders_completion orders
""",
    Shell.ZSH: """\
#compdef orders
_orders_completion() {
    eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" %s=complete_zsh "${words[1]}" 2>/dev/null)
}
if ! whence compdef >/dev/null; then autoload -Uz compinit && compinit; fi
compdef _orders_completion orders
""",
    Shell.FISH: """\
function __orders_completion
    set -l words (commandline -opc)
    set -lx _TYPER_COMPLETE_FISH_ACTION get-args
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    env %s=complete_fish $words[1] 2>/dev/null
end
complete --command orders --no-files --arguments '(__orders_completion)'
""",
}


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="Whose script.")]) -> None:
    """Print a script by which a shell completes commands, options and their choices on Tab.

    Examples: [bold]source <(orders completion bash)[/bold] in ~/.bashrc; the same with zsh in ~/.zshrc;
    [bold]orders completion fish | source[/bold] in ~/.config/fish/config.fish.
    """
    sys.stdout.write(_SCRIPTS[shell] % COMPLETE_VARIABLE)
