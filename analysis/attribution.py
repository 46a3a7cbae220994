"""Local attribution: which pixels of a noisy input a network uses to restore one window.

`python -m analysis.attribution a.pth b.pth` is the command; `analysis.lam` has the formulas.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from analysis.commands import progress as commands_progress
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

    from analysis.commands.inputs import Asked
    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import View
    from analysis.engine.run import Setting
    from analysis.lam import Window
    from mtd.data.crops import Crop
    from mtd.data.image_io import Pixels

EXAMPLES = """\
  python -m analysis.attribution baseline.pth masked.pth
  python -m analysis.attribution mine.pth theirs.pth --images photos --crop 128 --limit 8 \\
      --noise gaussian:50 --noise spatial:60
  python -m analysis.attribution mine.pth --window 24,24 --side 8 --steps 200 --attention-mask off
"""

CROPS = 4
NOISES = ("gaussian:15", "gaussian:50")
SIDE = 16
SIGMA = 3.0
"""Of the baseline's blur, in pixels: what a denoiser is to restore is gone, and of white noise a
tenth of the standard deviation is left. Published for super-resolution: 1.2, for inputs that have
lost their detail already."""

VALUES, ENDS, NOISY = "values", "ends", "noisy"


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.attribution",
        "Map which pixels of its input each model uses to restore one window of its output, for "
        "clean images and under each noise (local attribution maps), and how far they lie from it.",
        EXAMPLES,
        limit=CROPS,
        noises=", ".join(NOISES),
    )
    p.add_argument(
        "--side",
        type=cli.whole_number(2),
        default=SIDE,
        help=f"side of the window, in pixels (default {SIDE})",
    )
    p.add_argument(
        "--window",
        type=_corner,
        metavar="Y,X",
        help="upper left pixel of the window in every crop (default: the busiest place in the "
        "middle half of each)",
    )
    p.add_argument("--steps", type=cli.whole_number(1), default=50, help="of the path (default 50)")
    p.add_argument(
        "--blur",
        type=_sigma,
        default=SIGMA,
        help=f"of the blur at the start of the path, in pixels (default {SIGMA:g})",
    )
    return p


def _sigma(text: str) -> float:
    return cli.between(text, 1e3, "pixels above 0, such as 3")


def _corner(text: str) -> tuple[int, int]:
    top, _, left = text.partition(",")
    try:
        return cli.whole_number(0)(top), cli.whole_number(0)(left)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected Y,X such as 24,24") from None


def place(pixels: Pixels, side: int, corner: tuple[int, int] | None = None) -> Window:
    """The window of a crop: at a given corner, or the busiest one in the middle half of the crop.

    A quarter of the crop is left on every side, so that there is something to use around it.

    Raises:
        BadInput: it does not fit.
    """
    from analysis.lam import Window
    from mtd.data.crops import busiest

    size = min(pixels.shape[:2])
    if corner is not None:
        if max(corner) + side > size:
            raise BadInput(f"window of {side} at {corner[0]},{corner[1]}: a crop is {size} a side")
        return Window(*corner, side)
    if side > size // 2:
        raise BadInput(
            f"window of {side} in a crop of {size}: expected at most half of it; raise --crop, "
            "lower --side, or give --window"
        )
    margin = size // 4
    rows, columns = busiest(pixels[margin : size - margin, margin : size - margin], side)
    return Window(rows.start + margin, columns.start + margin, side)


def main() -> None:
    """Check everything, compute, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.attribution"))


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    settle(args)
    asked = commands_inputs.check(args)
    path = carry_out(args, asked, command)
    asked.ranks.leave()
    return path


def settle(args: argparse.Namespace) -> None:
    """Fill in the noises, none of them first.

    Raises:
        BadInput: options that do not go together.
    """
    from analysis.text.noise_labels import CLEAN

    if args.autocast != "off":
        raise BadInput(f"--autocast {args.autocast}: gradients need float32; leave it out")
    args.noise = [CLEAN, *(n for n in args.noise or NOISES if n != CLEAN)]


def carry_out(
    args: argparse.Namespace, asked: Asked, command: str = "", quiet: bool = False
) -> Path:
    """The analysis of what is asked, noises settled; returns the run folder.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    from analysis import attribution_table, lam
    from analysis.commands.job import report
    from analysis.commands.run_folder import RunFolder

    with asked.ranks.agreed():
        windows = [place(crop.pixels, args.side, args.window) for crop in asked.crops]
        lam.check(args.crop, args.blur)
    manifest = commands_inputs.describe("attribution", args, asked) | {
        "windows": [list(window) for window in windows],
        "steps": args.steps,
        "sigma": args.blur,
        "together": args.batch_size or max(1, 2**13 // args.crop**2),
    }
    folder = RunFolder(
        args.output_dir,
        f"attribution-{'-'.join(asked.models)}",
        manifest,
        resume=args.resume,
        command=command,
        ranks=asked.ranks,
    )
    with folder.resumable():
        done = args.resume and folder.complete()
        if not asked.ranks.gather(done)[0]:
            found = collect(args, asked, windows, manifest["together"], folder)
            if asked.ranks.first:
                attribution_table.save(folder, found, asked, windows)
        report(folder, attribution_table.report, quiet)
    return folder.path


def collect(
    args: argparse.Namespace,
    asked: Asked,
    windows: list[Window],
    together: int,
    folder: RunFolder,
) -> dict[tuple[View, int], dict[str, Tensor]]:
    """Every model's map under every noise for every crop, by view and the crop's place."""
    from tqdm import tqdm

    from analysis.engine.observer import View

    jobs = [
        (View(model, noise.spec), i)
        for i in range(len(asked.crops))
        for noise in asked.noises
        for model in asked.models
    ]
    talks = asked.ranks.first and not args.quiet
    if talks:
        commands_progress.tell(asked)
    mine = {}
    places = asked.ranks.mine(len(jobs))
    for number in tqdm(places, unit="map", disable=None if talks else True):
        view, i = jobs[number]
        how = {"sigma": args.blur, "steps": args.steps, "batch": together}
        key = _key(asked, view, asked.crops[i], windows[i], how)
        unit = folder.units.find(key)
        if unit is None:
            unit = folder.units.keep(key, one(asked, view, asked.crops[i], windows[i], how))
        mine[view, i] = unit.tensors()
    found: dict[tuple[View, int], dict[str, Tensor]] = {}
    for part in asked.ranks.gather(mine):
        found |= part
    return {job: found[job] for job in jobs}


def one(
    asked: Asked, view: View, crop: Crop, window: Window, how: dict[str, Any]
) -> dict[str, Tensor]:
    """The map of a model for a crop under a noise, its objective's ends, and the noisy crop."""
    import torch

    from analysis import lam
    from analysis.engine import observer as engine_observer
    from analysis.engine import run as engine_run

    noise = next(noise for noise in asked.noises if noise.spec == view.noise)
    shown, model = (
        engine_run.show(noise, engine_observer.Batch(0, [crop]), asked.setting),
        asked.models[view.model],
    )
    noisy, key = shown.noisy[0], masks(asked.setting, view, crop)
    level = engine_run.told(model, shown)
    hidden = engine_run.input_mask(shown, asked.setting)
    found = lam.attribute(model, noisy, window, key=key, sigma_told=level, input_mask=hidden, **how)
    ends = torch.tensor([found.start, found.end], dtype=torch.float64)
    return {VALUES: found.values, ENDS: ends, NOISY: noisy.cpu()}


def masks(setting: Setting, view: View, crop: Crop) -> str:
    """The key of a crop's attention masks, as in the engine."""
    shared = setting.pairing == "shared"
    return crop.digest if shared else f"{crop.digest}/{view.noise}"


def _key(
    asked: Asked, view: View, crop: Crop, window: Window, how: dict[str, Any]
) -> dict[str, Any]:
    import torch

    from mtd.data.recorded_noise import Recorded

    noise = next(noise for noise in asked.noises if noise.spec == view.noise)
    recorded = noise.digest([crop]) if isinstance(noise, Recorded) else None
    setting = asked.setting
    return {
        "attribution": 1,
        "model": [view.model, setting.identity.get(view.model)],
        "noise": [view.noise, recorded, setting.seed, setting.quantize],
        "masks": [setting.pairing, setting.input_mask] if setting.input_mask else setting.pairing,
        "run": torch.device(setting.device).type,
        "crop": crop.digest,
        "window": list(window),
        **how,
    }


if __name__ == "__main__":
    cli.run(main)
