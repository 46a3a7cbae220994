"""Completion of `mtd` in a shell: commands, options, their values, bundled models and recipes.

`mtd --completion SHELL` prints a script for the shell, which asks `mtd --complete -- WORD …` what
may follow; where nothing is known, the shell completes names of files.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import mtd
from analysis.commands import command
from analysis.commands.registry import added
from mtd.utils import cli
from mtd.utils.errors import BadInput, one_of

SCRIPTS = {
    "bash": """\
# in ~/.bashrc: eval "$(mtd --completion bash)"
_mtd() {
    local IFS=$'\\n' current="${COMP_WORDS[COMP_CWORD]}"
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=($(compgen -W "$(mtd --complete -- "${words[@]}" 2>/dev/null)" -- "$current"))
}
complete -o default -o bashdefault -F _mtd mtd
""",
    "zsh": """\
# in ~/.zshrc, after compinit: eval "$(mtd --completion zsh)"
_mtd() {
    local -a found
    found=(${(f)"$(mtd --complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    compadd -a found
    [[ ${words[CURRENT]} == -* ]] || _files
}
compdef _mtd mtd
""",
    "fish": """\
# in ~/.config/fish/completions/mtd.fish: mtd --completion fish | source
function __mtd_complete
    set -l words (commandline -opc) (commandline -ct)
    mtd --complete -- $words[2..-1] 2>/dev/null
end
complete -c mtd -a '(__mtd_complete)'
""",
}
"""What a shell runs at its start, by shell."""


def script(shell: str) -> str:
    """The script of a shell.

    Raises:
        BadInput: none for that shell.
    """
    one_of("--completion", shell, SCRIPTS)
    return SCRIPTS[shell].rstrip()


def candidates(words: Sequence[str], commands: Mapping[str, str]) -> list[str]:
    """What the last word may become.

    Args:
        words: behind `mtd`; the last one is the one that is being typed, perhaps empty.
        commands: the modules of this project's commands, by name.

    Returns:
        Words that begin with what is typed; none if nothing is known, as of names of files.
    """
    *before, current = words or [""]
    names = list(dict.fromkeys((*commands, *added())))
    if not before:
        found = [*names, "help", "--help", "--version", "--completion"]
    elif before[0] == "--completion":
        found = list(SCRIPTS)
    elif before[0] == "help":
        found = names
    else:
        found = after(before, current, commands)
    return [word for word in found if word.startswith(current)]


def after(before: Sequence[str], current: str, commands: Mapping[str, str]) -> list[str]:
    """What may follow a command and some of its arguments."""
    try:
        known = parser_of(before[0], commands)
    except BadInput:
        return []
    last = known._option_string_actions.get(before[-1])
    if last is not None and last.nargs != 0:
        return choices(last)
    if current.startswith("-"):
        shown = [one for one in known._actions if one.help != argparse.SUPPRESS]
        return [flag for one in shown for flag in one.option_strings if flag.startswith("--")]
    return [name for one in known._actions if not one.option_strings for name in choices(one)]


def choices(action: argparse.Action) -> list[str]:
    """The values of an argument, as far as they are known."""
    if action.choices:
        return list(map(str, action.choices))
    shown = action.metavar if isinstance(action.metavar, str) else ""
    if shown[:1] == "{":
        return shown[1:-1].split(",")
    package = Path(mtd.__file__).parent
    if shown == "CONFIG":
        folders = [package / "training" / kind for kind in ("configs", "sweeps")]
        return sorted(path.name for folder in folders for path in folder.glob("*.toml"))
    if action.dest in ("models", "checkpoint", "files") and not action.option_strings:
        return sorted(path.name for path in (package / "pretrained").glob("*.pth"))
    return []


def parser_of(name: str, commands: Mapping[str, str]) -> cli.Parser:
    """The parser of a command.

    Raises:
        BadInput: no command has that name.
    """
    if name not in commands:
        one_of("command", name, added())
        return command.parser(added()[name])
    module = import_module(commands[name])
    own = getattr(module, "parser", None)
    found: cli.Parser = own() if callable(own) else command.parser(module.ANALYSIS)
    return found
