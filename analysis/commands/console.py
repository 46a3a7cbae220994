"""The console script `mtd`: every command of the project by one name.

`mtd cka a.pth b.pth` is `python -m analysis.cka a.pth b.pth`, and works in a folder that holds
somebody's own `analysis/` or `analysis.py` as well, which shadows `python -m analysis.…` there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import mtd
from mtd.utils import cli, output
from mtd.utils.errors import BadInput, nearest

TASKS = {
    "Compare models": {
        "report": "all analyses of some models on one page",
        "generalization": "image quality under noise that models were and were not trained on",
        "compare": "which index predicts how much PSNR models lose under unseen noise",
        "card": "results of a benchmark in forms that others can read",
        "compare-cards": "cards of several models, your own and others'",
        "findings": "the paper's findings against trainings of your own",
        "figure": "the paper's Figures 11 to 15, of models of your own, for print",
    },
    "Look inside": {
        "error": "what the error consists of: noise that leaks, content that is lost",
        "cka": "similarity of layers across models and noises",
        "srga": "a generalization score from deep features",
        "distributions": "distributions of features under several noises",
        "degradation": "whether features separate images by noise",
        "sensitivity": "how far noise moves each layer",
        "linear": "the linear map that a network is near each noisy image, and SURE",
        "causal": "which branch of a network decides under unseen noise",
        "causal.faig": "filters by which a network differs from its baseline, for unseen noise",
        "stitch": "whether features of one network fit into another",
        "attribution": "which input pixels a window of the output depends on",
        "brightness": "brightness of the outputs against clean images",
    },
    "Train": {
        "train": "train a denoiser, with or without masks",
        "pack": "photographs of folders in one file to train on",
        "curves": "training and test curves of runs",
    },
    "Denoise, and get networks and images": {
        "denoise": "denoise image files",
        "models": "architectures, bundled networks, and what a checkpoint is",
        "zoo": "published denoisers: list, download, verify",
        "testsets": "published test sets: where from, download, and whether complete",
        "render": "render noisy and clean pairs",
    },
}
"""The commands by task."""

OWN = ("train", "pack", "denoise", "models", "zoo", "testsets", "render")
"""Commands of the package `mtd`; the others are of `analysis`."""


OPTIONS = ("help", "--help", "--version", "--completion")
"""What may stand in the place of a command."""


def commands() -> dict[str, str]:
    """The module of every command of this project, by name."""
    return {
        name: f"mtd.{name}" if name in OWN else f"analysis.{name.replace('-', '_')}.command"
        for group in TASKS.values()
        for name in group
    }


def overview() -> str:
    """All commands by task."""
    from analysis.commands.registry import added

    try:
        others = {n: record.title for n, record in added().items() if n not in commands()}
        broken = ""
    except BadInput as error:  # of another package, whatever this one is wanted for
        others, broken = {}, f"note: {error}"
    lines = ["usage: mtd COMMAND ...", ""]
    for task, group in (TASKS | ({"More analyses": others} if others else {})).items():
        lines += [task, *(f"  {name:<16}{text}" for name, text in group.items()), ""]
    lines += [
        "  mtd help COMMAND        options of a command, their defaults, and examples",
        "  mtd --version           the version of this package",
        "  mtd --completion SHELL  a script for bash, zsh or fish that completes what you type",
        "",
        "python -m analysis.COMMAND, or mtd.COMMAND to train and denoise, is the same, except in a",
        "folder with an analysis/ or analysis.py of your own, which Python takes instead.",
    ]
    return "\n".join([*lines, broken] if broken else lines)


def complete(option: str, arguments: Sequence[str]) -> None:
    """Print a shell's script, or what the last word of a command line may become.

    Raises:
        BadInput: no such shell.
    """
    from analysis.commands import completion

    if option == "--completion":
        text = completion.script(arguments[0] if arguments else "")
        output.show(text, results={"script": text})
        return
    words = arguments[1:] if arguments[:1] == ["--"] else arguments
    output.show("\n".join(completion.candidates(words, commands())))


def main() -> None:
    """The console script."""
    cli.run(dispatch)


def dispatch() -> None:
    """Run the command that the first argument names.

    Raises:
        BadInput: no command has that name.
    """
    arguments = sys.argv[1:]
    if arguments[:1] == ["help"] and len(arguments) > 1 and arguments[1] != output.FLAG:
        arguments = [arguments[1], "--help"]
    if arguments[:1] == [output.FLAG]:  # before the command
        arguments = [*arguments[1:], output.FLAG]
    if not arguments or arguments[0] in ("-h", "--help", "help", output.FLAG):
        output.show(overview(), results={"commands": TASKS})
        return
    if arguments[0] == "--version":
        output.show(f"mtd {mtd.__version__}")
        return
    if arguments[0] in ("--completion", "--complete"):
        complete(arguments[0], arguments[1:])
        return
    name = arguments[0]
    sys.argv = [f"mtd {name}", *arguments[1:]]
    if name in commands():
        import_module(commands()[name]).main()
        return
    from analysis.commands.command import main as run
    from analysis.commands.registry import added

    if name not in added():
        known = [*commands(), *added(), *OPTIONS]
        raise BadInput(f"mtd {name}: no such command; {nearest(name, known)}")
    run(added()[name])
