"""Recipes for a small pair at equal CPU time: `python reports/small-pairs/compare.py --help`.

`time` measures a step of every recipe, in turn, on one thread; `train` trains networks for a share
of the budget of CPU time, at the number of steps that fits into it; `score` gives the mean PSNR of
the networks and of fixed Gaussian blurs under the noises of the suite `quick`; `table` prints the
table of README.md, and `criterion` whether a masked network and a baseline meet the criterion.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import torch

HERE = Path(__file__).parent
RECIPES, TIMES, SCORES = HERE / "recipes.toml", HERE / "times.csv", HERE / "scores.csv"

BUDGET = 70 * 60
"""CPU seconds of one network at the full budget, one thread: those of the first pair's."""

UNIT = 8
"""The budget is divided into eighths."""

TRAINED = "gaussian:15"
"""The noise that the networks are trained on."""

BLURS = [round(0.1 * i, 1) for i in range(4, 17)]
"""Standard deviations of fixed Gaussian blurs, in pixels."""


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none if it is missing."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measure(photographs: list[str], rounds: int) -> None:
    """Median CPU time of a training step of every recipe, the recipes in turn, into `times.csv`."""
    import torch

    from mtd.training import sweep
    from mtd.training.trainer import Trainer
    from mtd.utils.device import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    whole, trainers = sweep.load(str(RECIPES)), {}
    times: dict[str, list[float]] = {}
    for cell in whole.cells:
        recipe = cell.recipe(whole.base, ["run.steps=1000000"], photographs)
        trainers[cell.name] = Trainer(recipe, Path(tempfile.mkdtemp()), "cpu", "")
        trainers[cell.name].advance()
    for _ in range(rounds):
        for name, trainer in trainers.items():
            start = time.process_time()
            trainer.advance()
            times.setdefault(name, []).append(time.process_time() - start)
    with TIMES.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["recipe", "parameters", "seconds_per_step"])
        for name, found in times.items():
            count = sum(p.numel() for p in trainers[name].parameters)
            writer.writerow([name, count, f"{statistics.median(found):.4g}"])


def steps_within(eighths: int, cost: float) -> int:
    """The number of steps of `cost` CPU seconds that fit into some eighths of the budget."""
    return int(BUDGET * eighths / UNIT / cost)


def settings(recipe: str, steps: int) -> list[str]:
    """The schedule of a recipe, in proportion to its number of steps."""
    if recipe.endswith("-steps"):
        milestones = [steps // 2, steps * 3 // 4, steps * 9 // 10]
        return [f"run.steps={steps}", f"optimizer.milestones={milestones}"]
    return [
        f"run.steps={steps}",
        "optimizer.schedule=cosine",
        f"optimizer.warmup={steps // 20}",
        "optimizer.final_learning_rate=1e-6",
        "optimizer.clip=1",
    ]


def train(
    recipe: str, network: str, eighths: int, photographs: list[str], runs: Path, cost: float
) -> Path:
    """One network at a share of the budget, on one thread; continues what was interrupted."""
    steps = steps_within(eighths, cost)
    folder = runs / f"{eighths}" / f"{network}-{recipe}"
    if (folder / "model.pth").exists():
        return folder
    changes = [*settings(recipe, steps), "validation.every=0", "run.log_every=100"]
    if network == "baseline":
        changes += ["mask.input_percent=[0, 0]", "mask.attention_percent=0", "mask.fill=pixel"]
    command = [
        *(sys.executable, "-m", "mtd.train", str(RECIPES), "--cell", recipe, "--quiet"),
        *("--output-dir", str(folder.with_name(f"{folder.name}.cell")), "--resume"),
        *(part for path in photographs for part in ("--data", path)),
        *(part for change in changes for part in ("--set", change)),
    ]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    (folder.with_name(f"{folder.name}.cell") / recipe).rename(folder)
    return folder


def blur(sigma: float) -> torch.nn.Module:
    """A fixed Gaussian blur as a network."""
    import torch
    from scipy.ndimage import gaussian_filter

    class Blur(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, sigma, sigma)))

    return Blur()


def benchmark(models: dict[str, object], photographs: list[str]) -> Any:
    """The suite `quick` on a crop of 128 x 128 from the middle of each of 24 photographs."""
    import analysis

    return analysis.generalization.benchmark(
        models,
        images=photographs,
        suite="quick",
        crop=128,
        crop_rule="center",
        limit=24,
        lpips=False,
        references=False,
    )


def score(networks: dict[str, Path], photographs: list[str]) -> None:
    """Mean PSNR by noise of networks and fixed blurs, as rows that are added to `scores.csv`.

    Args:
        networks: run folders by name; those that have rows already are left out.
        photographs: folders; 24 of their images are used, a crop of 128 x 128 from the middle each.
    """
    import pandas as pd

    models: dict[str, object] = {f"blur {sigma}": blur(sigma) for sigma in BLURS}
    models |= {name: str(folder / "model.pth") for name, folder in networks.items()}
    before = pd.DataFrame(rows(SCORES), columns=["model", "noise", "psnr"])
    models = {name: model for name, model in models.items() if name not in set(before.model)}
    if not models:
        return
    frame = benchmark(models, photographs).noises
    frame = frame[(frame.metric == "psnr") & frame.model.isin(list(models))]
    columns = {"model": frame.model, "noise": frame.noise, "psnr": frame["mean"].round(3)}
    table = pd.concat([before, pd.DataFrame(columns)])
    table.to_csv(SCORES, index=False, lineterminator="\n")


def scores() -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """PSNR by model and noise, the same without the noise trained on, and the best blur."""
    import pandas as pd

    psnr = pd.DataFrame(rows(SCORES)).astype({"psnr": float})
    psnr = psnr.pivot(index="model", columns="noise", values="psnr")
    unseen = psnr.drop(columns=TRAINED)
    best = str(unseen[unseen.index.str.startswith("blur")].mean(axis=1).idxmax())
    return psnr, unseen, best


def criterion(masked: str, baseline: str, photographs: list[str]) -> str:
    """The three parts of the criterion, with 95% intervals over photographs (Student's t).

    Args:
        masked, baseline: checkpoints.
        photographs: folders, as for `score`.
    """
    from scipy.stats import ttest_1samp

    best = scores()[2]
    models = {"masked": masked, "baseline": baseline, best: blur(float(best.split()[1]))}
    frame = benchmark(models, photographs).results
    frame = frame[frame.metric == "psnr"]
    psnr = frame.pivot_table(index=["noise", "image"], columns="model", values="value")
    trained = psnr.loc[TRAINED]
    unseen = psnr.drop(index=TRAINED, level="noise").groupby("image").mean()
    lines = []
    for text, values in (
        (f"masked - {best}, unseen noises (2 dB or more)", unseen.masked - unseen[best]),
        ("masked - baseline, unseen noises (above 0)", unseen.masked - unseen.baseline),
        (f"baseline - masked, `{TRAINED}` (3 dB or less)", trained.baseline - trained.masked),
    ):
        low, high = ttest_1samp(values, 0).confidence_interval()
        lines.append(f"| {text} | {values.mean():+.2f} [{low:+.2f}, {high:+.2f}] |")
    return "\n".join([f"| mean of {len(unseen)} photographs | dB |", "| --- | ---: |", *lines])


def table() -> str:
    """A row of Markdown for each scored network, those of a share of the budget together."""
    psnr, unseen, best = scores()
    blurs = psnr.index.str.startswith("blur")
    lines = [
        f"Best fixed blur under unseen noises: {best.split()[1]} pixels, "
        f"{unseen.loc[best].mean():.2f} dB.",
        "",
        f"| share, network, recipe | steps | `{TRAINED}` | unseen noises, mean | minus the blur | "
        f"unseen noises above the blur, of {unseen.shape[1]} |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    costs = {row["recipe"]: float(row["seconds_per_step"]) for row in rows(TIMES)}
    for name in psnr.index[~blurs]:
        if name == "noisy input":
            continue
        share, _, network = name.partition(" ")
        recipe = network.partition("-")[2]
        steps = f"{steps_within(int(share[0]), costs[recipe]):,}" if recipe in costs else ""
        gain = unseen.loc[name] - unseen.loc[best]
        lines.append(
            f"| {name} | {steps} | {psnr.loc[name, TRAINED]:.2f} | {unseen.loc[name].mean():.2f} "
            f"| {gain.mean():+.2f} | {(gain > 0).sum()} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["time", "train", "score", "table", "criterion"])
    parser.add_argument(
        "networks",
        nargs="*",
        help="train: NETWORK-RECIPE, such as masked-w32-d4-b8-c48; criterion: two checkpoints",
    )
    parser.add_argument("--data", action="append", default=[], help="folder of photographs")
    parser.add_argument("--eighths", type=int, default=1, help="of the budget")
    parser.add_argument("--runs", type=Path, default=Path("runs/small-pairs"))
    parser.add_argument("--jobs", type=int, default=2, help="networks at once")
    args = parser.parse_args()
    if args.action == "time":
        measure(args.data, rounds=7)
        return
    if args.action == "score":
        found = {
            f"{path.parent.parent.name}/8 {path.parent.name}": path.parent
            for path in sorted(args.runs.glob("*/*/model.pth"))
        }
        score(found, args.data)
        return
    if args.action == "table":
        print(table())
        return
    if args.action == "criterion":
        if len(args.networks) != 2 or not args.data:
            parser.error("criterion: expected two checkpoints, masked and baseline, and --data")
        print(criterion(args.networks[0], args.networks[1], args.data))
        return
    costs = {row["recipe"]: float(row["seconds_per_step"]) for row in rows(TIMES)}
    for name in args.networks:
        network, _, recipe = name.partition("-")
        if network not in ("masked", "baseline") or recipe not in costs:
            known = ", ".join(costs)
            parser.error(f"{name}: expected masked- or baseline- and a recipe of {TIMES}: {known}")
    if not args.networks or not args.data:
        parser.error("train: expected networks, and photographs with --data")

    def job(name: str) -> None:
        network, _, recipe = name.partition("-")
        path = train(recipe, network, args.eighths, args.data, args.runs, costs[recipe])
        print(path, flush=True)

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(job, args.networks))


if __name__ == "__main__":
    from mtd.utils import cli

    cli.run(main)
