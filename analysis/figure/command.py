"""A figure of the paper, of models of your own, for print.

`python -m analysis.figure 12 a.pth b.pth` is the command; without a number it lists the figures.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import get_type_hints

from analysis.commands import command, drawing
from analysis.commands.drawing import Drawing
from analysis.commands.parser import (
    ConfiguredParser,
    OutputOptions,
    add_option,
    add_run_options,
    flag_of,
)
from analysis.commands.registry import built_in
from analysis.commands.settings import Settings
from analysis.figure.presets import PRESETS, Preset, overview
from mtd.utils import cli, messages, output, output_folders
from mtd.utils.errors import BadInput

EXAMPLES = """\
  python -m analysis.figure                                          # the figures
  python -m analysis.figure 12 baseline.pth masked.pth               # PDF and PNG, with captions
  python -m analysis.figure 11 a.pth b.pth --images kodak24 --latex
  python -m analysis.figure 13 runs/baseline runs/masked
"""

SHARED = ("images", "crop", "limit", "device")
"""Settings of the analyses that this command has options for."""


def parser() -> ConfiguredParser:
    """The command's options."""
    p = ConfiguredParser(
        "analysis.figure",
        "Draw one of the paper's Figures 11 to 15 of models of your own, with the paper's noises, "
        "for print: PDF and PNG, a caption beside each, and the data. The caption says what "
        "differs from the paper. Other settings: the command of the analysis with --style paper.",
        EXAMPLES,
        "figure",
        "[NUMBER MODEL [MODEL ...]]",
    )
    group = p.group("models")
    group.add_argument(
        "number", nargs="?", metavar="NUMBER", help="of the figure, 11 to 15; without, all listed"
    )
    group.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="checkpoint file or bundled name; for figure 13 folders of training runs",
    )
    kinds = get_type_hints(Settings)
    for item in fields(Settings):
        if item.name in SHARED:
            about = item.metadata["option"]
            if item.name in ("crop", "limit"):
                about = replace(about, shown="the analysis' own")
            add_option(p.group(about.group), item, kinds[item.name], about)
    own = p.group("output")
    add_run_options(own, "runs/ANALYSIS-MODELS-DIGEST")
    drawing.add_options(own, formats=("pdf", "png"), styled=False)
    p.add_quiet()
    return p


def main() -> None:
    """Draw the figure, or list all.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    known = parser()
    parsed = known.parse_args()
    if parsed.number is None:
        about = {one.number: {"title": one.title, "analysis": one.analysis} for one in found()}
        output.show(overview(), results={"figures": about})
        return
    run(parsed, known.command(cli.command("analysis.figure")))


def found() -> Sequence[Preset]:
    """All presets."""
    return list(PRESETS.values())


def preset_of(number: str) -> Preset:
    """The figure of a number.

    Raises:
        BadInput: there is none.
    """
    known = {str(one.number): one for one in found()}
    if number not in known:
        raise BadInput(f"figure {number!r}: expected one of {', '.join(known)}")
    return known[number]


def run(parsed: Namespace, line: str = "") -> Path:
    """Draw a figure; returns the run folder.

    Args:
        parsed: the options.
        line: the command, for the caption.

    Raises:
        BadInput: no such figure, or options or models that cannot be used.
    """
    preset = preset_of(parsed.number)
    if not parsed.models:
        what = "MODEL" if preset.measured else "RUN"
        raise BadInput(f"figure {preset.number}: no {what} given; expected one at least")
    written = OutputOptions(
        parsed.output_dir,
        parsed.resume,
        parsed.quiet,
        line,
        drawing=Drawing(parsed.figures, "paper", parsed.latex, preset.note),
    )
    draw = measure if preset.measured else read
    path = draw(preset, parsed, written)
    files = [f"{name}.{kind}" for name in preset.figures for kind in parsed.figures]
    there = [str(path / name) for name in files if (path / name).is_file()]
    messages.note(f"figure {preset.number}: {', '.join(there)}", quiet=parsed.quiet)
    return path


def measure(preset: Preset, parsed: Namespace, written: OutputOptions) -> Path:
    """Run the analysis of a figure; returns the run folder.

    Raises:
        BadInput: options or models that cannot be used.
    """
    analysis = built_in(preset.analysis)
    options = command.parser(analysis).parse_args([*parsed.models, *preset.options])
    given = {name: getattr(parsed, name) for name in SHARED if name in parsed}
    vars(options).update(given, output_dir=parsed.output_dir)
    request = command.checked(analysis, options, written.command)
    messages.importing(quiet=parsed.quiet)
    return command.run(*request._replace(output=written))


def read(preset: Preset, parsed: Namespace, written: OutputOptions) -> Path:
    """Draw the curves of training runs; returns the run folder.

    Raises:
        BadInput: options for what is not computed here, or runs that cannot be read.
    """
    from analysis.curves import command as curves

    flags = {item.name: flag_of(item) for item in fields(Settings)}
    for name in SHARED:
        if name in parsed:
            raise BadInput(
                f"{flags[name]}: figure {preset.number} reads logs, and computes nothing"
            )
    curves.check_places(parsed.models)
    output_folders.check(parsed.output_dir)
    messages.importing(quiet=parsed.quiet)
    return curves.run(parsed.models, output=written)
