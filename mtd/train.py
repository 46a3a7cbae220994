"""Train a denoiser: `python -m mtd.train CONFIG.toml --data DIR`."""

from __future__ import annotations

from pathlib import Path

from mtd import cli

EXAMPLES = """\
  python -m mtd.train small.toml --data photos --output-dir runs/masked
  python -m mtd.train small.toml --data photos --output-dir runs/baseline --baseline
  python -m mtd.train small.toml --data photos --output-dir runs/masked --resume
  python -m mtd.train dncnn.toml --data photos --set run.batch_size=16
  python -m mtd.train paper.toml --data DIV2K --data WED --device cuda --set run.seed=1
  torchrun --nproc-per-node 4 -m mtd.train paper.toml --data DIV2K --device cuda
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.train",
        "Train a denoiser on photographs with synthetic noise, with or without masks.",
        EXAMPLES,
    )
    known = sorted(path.name for path in (Path(__file__).parent / "configs").glob("*.toml"))
    p.add_argument("config", help=f"a TOML recipe, or one of ours: {', '.join(known)}")
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
    p.add_argument("--output-dir", metavar="DIR", help="default: runs/train-CONFIG[-baseline]")
    p.add_argument("--resume", action="store_true", help="go on with the run in the output folder")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    p.add_argument("--quiet", action="store_true", help="no bar, no messages")
    return p


def main() -> None:
    """Parse, check, train."""
    options = parser().parse_args()
    from mtd import ranks, trainer
    from mtd import recipe as recipes

    processes, device = ranks.start(options.device, steady=False)
    with processes.agreed():
        recipe = recipes.load(
            options.config, options.set, folders=options.data, baseline=options.baseline
        )
    name = f"train-{Path(options.config).stem}{'-baseline' if options.baseline else ''}"
    path = trainer.train(
        recipe,
        Path(options.output_dir or Path("runs") / name),
        device=device,
        ranks=processes,
        resume=options.resume,
        quiet=options.quiet,
        command=cli.command("mtd.train"),
    )
    if processes.first:
        print(path)


if __name__ == "__main__":
    cli.run(main)
