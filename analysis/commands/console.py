"""The console script `mtd`: every command of the project by one name.

`mtd cka a.pth b.pth` is `python -m analysis.cka a.pth b.pth`, and works in a folder that holds
somebody's own `analysis/` or `analysis.py` as well, which shadows `python -m analysis.…` there.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import mtd
from mtd.utils import cli
from mtd.utils.errors import BadInput, nearest

TASKS = {
    "Compare models": {
        "report": "every analysis of some models on one page",
        "generalization": "image quality on noises that models were and were not trained on",
        "compare": "which index predicts the PSNR drop of many models",
    },
    "Interpret models": {
        "cka": "similarity of layers across models and noises",
        "srga": "a generalization score from deep features",
        "distributions": "distributions of features under several noises",
        "degradation": "whether features separate images by noise",
        "sensitivity": "how far layers move under noise",
        "attribution": "which input pixels a window of the output depends on",
        "brightness": "brightness of the outputs against clean images",
    },
    "Train and denoise": {
        "train": "train a denoiser, with or without masks",
        "curves": "training and test curves of runs",
        "denoise": "denoise image files",
        "models": "architectures, bundled networks and details of checkpoints",
        "testsets": "published test sets: where from, and whether complete",
        "render": "render noisy and clean pairs",
        "findings": "the paper's findings against trainings of your own",
    },
}
"""The commands by task."""

OWN = ("train", "denoise", "models", "testsets", "render")
"""Commands of the package `mtd`; the others are of `analysis`."""


def commands() -> dict[str, str]:
    """The module of every command, by name."""
    from analysis.commands.registry import analyses

    known = {
        name: f"mtd.{name}" if name in OWN else f"analysis.{name}.command"
        for group in TASKS.values()
        for name in group
    }
    return known | {name: "" for name in analyses() if name not in known}


def overview() -> str:
    """All commands by task."""
    from analysis.commands.registry import analyses

    known = {name for group in TASKS.values() for name in group}
    others = {name: r.title for name, r in analyses().items() if name not in known}
    lines = ["usage: mtd COMMAND …, or python -m analysis.COMMAND … (mtd.COMMAND to train)", ""]
    for task, group in (TASKS | ({"From other packages": others} if others else {})).items():
        lines += [task, *(f"  {name:<16}{text}" for name, text in group.items()), ""]
    lines += [
        "mtd COMMAND --help has options and examples. In a folder with your own analysis/ or",
        "analysis.py, which shadows python -m analysis.COMMAND, use mtd COMMAND.",
    ]
    return "\n".join(lines)


def main() -> None:
    """The console script."""
    cli.run(dispatch)


def dispatch() -> None:
    """Run the command that the first argument names.

    Raises:
        BadInput: no command has that name.
    """
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return
    if arguments[0] == "--version":
        print(f"mtd {mtd.__version__}")
        return
    name = arguments[0]
    if name not in commands():
        raise BadInput(f"mtd {name}: no such command; {nearest(name, commands())}")
    # the working folder is searched last, for networks of the user's own (--model own:Own)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    sys.argv = [f"mtd {name}", *arguments[1:]]
    if module := commands()[name]:
        import_module(module).main()
        return
    from analysis.commands.command import main as run
    from analysis.commands.registry import analysis

    run(analysis(name))
