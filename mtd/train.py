"""Train a denoiser: `python -m mtd.train CONFIG.toml --data PHOTOS`."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtd.utils import cli, interruptions, near_paths, output, output_folders
from mtd.utils.errors import BadInput, Partial, nearest
from mtd.utils.messages import importing, note

if TYPE_CHECKING:
    from mtd.training.config import Recipe
    from mtd.utils.distributed import Ranks

STARTED = time.monotonic()

EXAMPLES = """\
  python -m mtd.train small.toml --data photos --output-dir runs/masked
  python -m mtd.train small.toml --data photos --output-dir runs/baseline --baseline
  python -m mtd.train small.toml --data photos --output-dir runs/masked --resume
  python -m mtd.train small.toml --data photos --output-dir runs/masked --resume --seconds 1500
  python -m mtd.train full.toml --data photographs.zip --device cuda --set run.batch_size=32
  python -m mtd.train small.toml --data photos --set optimizer.schedule=cosine \\
      --set optimizer.warmup=500 --set optimizer.final_learning_rate=1e-6
  python -m mtd.train dncnn.toml --data photos --set run.batch_size=16
  python -m mtd.train paper.toml --data DIV2K --data WED --device cuda --set run.seed=1
  python -m mtd.train table2.toml --data photos --list
  python -m mtd.train table2.toml --data photos --cell "$SLURM_ARRAY_TASK_ID" --resume
  torchrun --nproc-per-node 4 -m mtd.train paper.toml --data DIV2K --device cuda
  torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
      -m mtd.train paper.toml --data DIV2K --device cuda --output-dir SHARED/masked --resume
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.train",
        "Train a denoiser on photographs with synthetic noise, with or without masks.",
        EXAMPLES,
    )
    models, images, compute = (p.group(name) for name in ("models", "images", "compute"))
    written = p.group("output")
    models.add_argument(
        "config",
        metavar="CONFIG",
        help=f"a TOML recipe or sweep, or a bundled one: {', '.join(recipe_names())}",
    )
    images.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="PHOTOS",
        help="folder of photographs, or a .zip file made by mtd pack (repeatable)",
    )
    models.add_argument("--baseline", action="store_true", help="the same network without any mask")
    models.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.NAME=VALUE",
        help="change a setting of the recipe (repeatable)",
    )
    models.add_argument("--list", action="store_true", help="print the cells of a sweep and exit")
    models.add_argument(
        "--cell", metavar="N", help="train one cell of a sweep, by number or name (default: all)"
    )
    written.add_argument(
        "--output-dir",
        metavar="DIR",
        help="folder to write (default: runs/train-CONFIG[-baseline])",
    )
    compute.add_argument(
        "--workers",
        metavar="N",
        type=cli.whole_number(0),
        default=0,
        help="processes that load batches ahead of time; 0 for none",
    )
    images.add_argument(
        "--store",
        metavar="DIR",
        help="folder for all photographs in decoded form, in one memory-mapped file",
    )
    images.add_argument(
        "--skip-bad",
        action="store_true",
        help="read all photographs first, and skip and list damaged ones (without it and --store, "
        "only those that fit into data.cache_mb are read at the start)",
    )
    written.add_argument(
        "--resume", action="store_true", help="continue the run in the output folder"
    )
    compute.add_argument(
        "--seconds",
        type=cli.seconds,
        default=math.inf,
        metavar="N",
        help="end with a saved state before N seconds have passed since the start of the command "
        "(for all cells of a sweep together); the same command with --resume continues (default: "
        "no end)",
    )
    compute.add_argument(
        "--seed",
        type=cli.whole_number(0),
        metavar="N",
        help=f"{cli.SEED}, as --set run.seed=N (default: the recipe's)",
    )
    compute.add_argument("--device", default="auto", help=cli.DEVICE)
    p.add_quiet()
    return p


@dataclass(frozen=True)
class TrainRequest:
    """The runs that a command line names, as it was given.

    Attributes:
        config: a recipe or a sweep: a path, or the name of a bundled one.
        folders: of photographs, instead of the recipe's; none for the recipe's.
        changes: `section.name=value` texts on top of the recipe.
        baseline: the same network without any mask.
        cell: of a sweep: the number or name of one cell; None for all.
        output_dir: of the run, or of the folders of a sweep's cells; None for the default.
    """

    config: str
    folders: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    baseline: bool = False
    cell: str | None = None
    output_dir: str | None = None

    @property
    def folder(self) -> Path:
        """The output folder."""
        name = f"train-{Path(self.config).stem}{'-baseline' if self.baseline else ''}"
        return Path(self.output_dir or Path("runs") / name)


def check(request: TrainRequest) -> None:
    """Check what is named, before PyTorch is imported: recipe, photographs, output folder.

    Raises:
        BadInput: one that is not there, or a folder that cannot be written.
    """
    path, bundled = Path(request.config), list(recipe_names())
    if not path.exists() and request.config not in bundled:
        near = map(str, near_paths.near(path))
        hint = nearest(request.config, dict.fromkeys([*near, *bundled]))
        raise BadInput(f"{request.config}: no such file, and no bundled recipe; {hint}")
    for place in request.folders:
        if not os.path.lexists(place):
            raise BadInput(near_paths.absent(Path(place), "folder or .zip file"))
    output_folders.check(request.output_dir)


def recipe_names() -> list[str]:
    """The bundled recipes and sweeps."""
    here = Path(__file__).parent / "training"
    return [p.name for kind in ("configs", "sweeps") for p in sorted((here / kind).glob("*.toml"))]


def main() -> None:
    """Parse, check, train."""
    args = parser().parse_args()
    changes = (*args.set, *([] if args.seed is None else [f"run.seed={args.seed}"]))
    request = TrainRequest(
        args.config, tuple(args.data), changes, args.baseline, args.cell, args.output_dir
    )
    check(request)
    importing(quiet=args.quiet)
    from mtd.utils import distributed
    from mtd.utils.device import keep_freed_memory

    keep_freed_memory()
    processes, device = distributed.start(args.device, steady=False)
    with processes.raise_on_all_ranks():
        runs = resolve_runs(request, sweep_only=args.list)
    if args.list:
        if processes.first:
            cells = numbered(request, runs)
            text = "\n".join(f"{number}\t{path}" for number, path in cells)
            rows = [{"number": number, "folder": path} for number, path in cells]
            output.show(text, results={"cells": rows})
        return
    from mtd.training.reading import Reading

    options: dict[str, Any] = {
        "device": device,
        "ranks": processes,
        "resume": args.resume,
        "reading": Reading(args.workers, Path(args.store) if args.store else None, args.skip_bad),
        "quiet": args.quiet,
        "command": cli.command("mtd.train"),
    }
    failed = _train(runs, args.seconds, processes, options)
    processes.leave()
    if len(failed) == len(runs):
        raise BadInput(f"no cell could be trained; the last: {list(failed.values())[-1]}")
    if failed:
        raise Partial(f"{len(failed)} of {len(runs)} cells were not trained: {', '.join(failed)}")


def _train(
    runs: Sequence[tuple[Path, Recipe]], seconds: float, processes: Ranks, options: dict[str, Any]
) -> dict[str, str]:
    """Train one run after the other until the time is up; returns the reasons of failures."""
    from mtd.training import run
    from mtd.training.slices import OutOfTime, TimeLimit

    limit, failed = TimeLimit(seconds, STARTED), dict[str, str]()
    shown: list[dict[str, Any]] = []
    quiet = options["quiet"] or not processes.first
    for number, (folder, recipe) in enumerate(runs):
        cell = f"cell {number + 1} of {len(runs)}: {folder.name}"
        try:
            if number and processes.gather(limit.left <= 0)[0]:
                raise OutOfTime(
                    f"stopped before {cell}, after {limit.passed:.0f} s; the same command with "
                    "--resume continues"
                )
            if number and any(processes.gather(interruptions.have_come())):
                raise KeyboardInterrupt(
                    f"stopped before {cell}; the same command with --resume continues"
                )
            if len(runs) > 1:
                note(cell, quiet=quiet)
            path = run.train(recipe, folder, limit=limit, **options)
        except OutOfTime as stop:
            if processes.first:
                shown.append(_shown(folder))
                output.show(str(stop), results={"runs": shown}, sentences=[str(stop)])
            break
        except BadInput as error:
            # Of several processes, the others may be anywhere: no cell can follow.
            if len(runs) == 1 or processes.size > 1:
                raise
            failed[folder.name] = str(error)
            shown.append(_shown(folder, error=str(error)))
            output.add(results={"runs": shown})
            note(f"cell {folder.name}: {error}")
            continue
        if processes.first:
            shown.append(_shown(folder, path))
            one = folder if len(runs) == 1 else None
            output.show(f"{path}", run=one, results={"runs": shown}, files=[path])
    return failed


def _shown(folder: Path, model: Path | None = None, error: str | None = None) -> dict[str, Any]:
    """A run for `--json`; without a model it is not finished."""
    return {"folder": folder, "finished": model is not None, "model": model, "error": error}


def resolve_runs(request: TrainRequest, sweep_only: bool = False) -> list[tuple[Path, Recipe]]:
    """Folder and recipe of every requested run, all checked before one starts.

    Args:
        request: as it was given.
        sweep_only: whether a recipe is refused.

    Raises:
        BadInput: a file that is neither recipe nor sweep, or options that do not fit it.
    """
    from mtd.training import config as recipes
    from mtd.training import sweep

    if not sweep.is_sweep(request.config):
        if request.cell is not None or sweep_only:
            raise BadInput(f"--cell and --list are for sweeps; {request.config} is a recipe")
        recipe = recipes.load(
            request.config, request.changes, folders=request.folders, baseline=request.baseline
        )
        return [(request.folder, recipe)]
    if request.baseline:
        raise BadInput("--baseline is not for sweeps: a cell sets baseline = true itself")
    whole = sweep.load(request.config)
    cells = whole.cells if request.cell is None else [sweep.choose(whole, request.cell)]
    return [
        (request.folder / cell.name, cell.recipe(whole.base, request.changes, request.folders))
        for cell in cells
    ]


def numbered(request: TrainRequest, runs: Sequence[tuple[Path, Recipe]]) -> list[tuple[int, Path]]:
    """Number and folder of the requested cells."""
    from mtd.training import sweep

    names = [cell.name for cell in sweep.load(request.config).cells]
    return [(names.index(path.name), path) for path, _ in runs]


if __name__ == "__main__":
    cli.run(main)
