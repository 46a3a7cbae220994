"""Train a denoiser: `python -m mtd.train CONFIG.toml --data DIR`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtd.utils import cli
from mtd.utils.errors import BadInput, Partial

if TYPE_CHECKING:
    from mtd.training.config import Recipe

EXAMPLES = """\
  python -m mtd.train small.toml --data photos --output-dir runs/masked
  python -m mtd.train small.toml --data photos --output-dir runs/baseline --baseline
  python -m mtd.train small.toml --data photos --output-dir runs/masked --resume
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
    here = Path(__file__).parent / "training"
    known = [p.name for kind in ("configs", "sweeps") for p in sorted((here / kind).glob("*.toml"))]
    p.add_argument("config", help=f"a TOML recipe or sweep, or one of ours: {', '.join(known)}")
    p.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="DIR",
        help="folder of photographs (repeatable)",
    )
    p.add_argument("--baseline", action="store_true", help="the same network without any mask")
    p.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.NAME=VALUE",
        help="change a number of the recipe (repeatable)",
    )
    p.add_argument("--list", action="store_true", help="of a sweep: print its cells and stop")
    p.add_argument("--cell", metavar="N", help="of a sweep: one cell, by number from 0 or by name")
    p.add_argument("--output-dir", metavar="DIR", help="default: runs/train-CONFIG[-baseline]")
    p.add_argument(
        "--workers",
        type=cli.whole_number(0),
        default=0,
        help="processes that read photographs ahead of time (default 0: none)",
    )
    p.add_argument(
        "--store",
        metavar="DIR",
        help="keep all photographs decoded there, in one memory-mapped file; made once",
    )
    p.add_argument(
        "--skip-bad",
        action="store_true",
        help="read all photographs first and leave out those that are damaged, with their names "
        "(without it and --store, only those that fit into data.cache_mb are read at the start)",
    )
    p.add_argument("--resume", action="store_true", help="go on with the run in the output folder")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    p.add_argument("--quiet", action="store_true", help="no bar, no messages")
    return p


def main() -> None:
    """Parse, check, train."""
    options = parser().parse_args()
    from mtd.training import config as recipes
    from mtd.training import sweep
    from mtd.utils import distributed

    processes, device = distributed.start(options.device, steady=False)
    with processes.raise_on_all_ranks():
        jobs: list[tuple[Path, Recipe]] = []
        if sweep.is_sweep(options.config):
            jobs = cells(options)
        else:
            if options.cell is not None or options.list:
                raise BadInput(f"--cell and --list are for sweeps; {options.config} is a recipe")
            recipe = recipes.load(
                options.config, options.set, folders=options.data, baseline=options.baseline
            )
            name = f"train-{Path(options.config).stem}{'-baseline' if options.baseline else ''}"
            jobs.append((Path(options.output_dir or Path("runs") / name), recipe))
    if options.list:
        if processes.first:
            print("\n".join(listed(options, jobs)))
        return
    from mtd.training import trainer

    store = Path(options.store) if options.store else None
    reading = trainer.Reading(options.workers, store, options.skip_bad)
    failed: dict[str, str] = {}
    for number, (folder, recipe) in enumerate(jobs):
        if len(jobs) > 1 and processes.first and not options.quiet:
            print(f"cell {number + 1} of {len(jobs)}: {folder.name}", file=sys.stderr)
        try:
            path = trainer.train(
                recipe,
                folder,
                device=device,
                ranks=processes,
                resume=options.resume,
                reading=reading,
                quiet=options.quiet,
                command=cli.command("mtd.train"),
            )
        except BadInput as error:
            if len(jobs) == 1 or processes.size > 1:  # of others there is no telling where they are
                raise
            failed[folder.name] = str(error)
            print(f"cell {folder.name}: {error}", file=sys.stderr)
            continue
        if processes.first:
            print(path)
    processes.leave()
    if len(failed) == len(jobs):
        raise BadInput(f"no cell could be trained; the last: {list(failed.values())[-1]}")
    if failed:
        raise Partial(f"{len(failed)} of {len(jobs)} cells were not trained: {', '.join(failed)}")


def listed(options: argparse.Namespace, jobs: Sequence[tuple[Path, Recipe]]) -> list[str]:
    """Number and folder of the cells that are asked for."""
    from mtd.training import sweep

    names = [cell.name for cell in sweep.load(options.config).cells]
    return [f"{names.index(path.name)}\t{path}" for path, _ in jobs]


def cells(options: argparse.Namespace) -> list[tuple[Path, Recipe]]:
    """The runs of a sweep that are asked for: all are checked before one is begun."""
    from mtd.training import sweep

    if options.baseline:
        raise BadInput("--baseline: the cells of a sweep say themselves whether they are baselines")
    found = sweep.load(options.config)
    chosen = found.cells if options.cell is None else [sweep.choose(found, options.cell)]
    place = Path(options.output_dir or Path("runs") / f"train-{Path(options.config).stem}")
    return [
        (place / cell.name, cell.recipe(found.base, options.set, options.data)) for cell in chosen
    ]


if __name__ == "__main__":
    cli.run(main)
