"""Centred kernel alignment: compare the layers of denoisers across models and across noises.

`cka` and `CKA` are for arrays; `python -m analysis.cka a.pth b.pth` is the command. Torch is imported
only once there is something to compute, so that `--help` answers at once.

Reference: Kornblith et al., *Similarity of Neural Network Representations Revisited*, ICML 2019.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mtd import cli
from mtd.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from analysis.engine import View
    from analysis.hsic import HSICSums
    from mtd.images import Crop
    from mtd.noise import Noise
    from mtd.swinir import SwinIR

CROPS = 64
MATCH = 0.5
"""Two blocks are said to match when their CKA is at least this; a convention of ours."""

EXAMPLES = """\
  python -m analysis.cka baseline.pth masked.pth
  python -m analysis.cka baseline.pth masked.pth --noise gaussian:15 --noise poisson:3.5
  python -m analysis.cka mine.pth theirs.pth --images photos --crop 128 --limit 256
  python -m analysis.cka masked.pth --layers 're:layers\\.\\d+\\.conv' --unit image
"""


def cka(
    x: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    estimator: Literal["unbiased", "biased"] = "unbiased",
) -> float:
    """Linear CKA of two representations of the same samples.

        CKA = HSIC(X, Y) / √(HSIC(X, X) · HSIC(Y, Y))

    with `unbiased` HSIC₁ (Song et al. 2012) or `biased` HSIC, see `analysis.hsic`. Computed in
    float64 on centred features. It is 1 for y = x, and does not change under rotation, scaling
    or shifting of either side. An unbiased value may be negative, and is not clamped; for
    independent Gaussian data the biased one tends to √(p·q/((p+n)(q+n))), not to 0.

    Args:
        x: (n, p), or (n, …), which is flattened; array or tensor.
        y: (n, q), or (n, …).
        estimator: `unbiased` (n ≥ 4) or `biased` (n ≥ 2).

    Returns:
        The value, or NaN with a warning that names the side and the reason where a self-HSIC is
        not above 0.

    Raises:
        BadInput: too few samples, or an unknown estimator.
        ValueError: different numbers of samples.

    Example:
        >>> round(cka([0, 1, 2, 3, 4, 5], [0, 1, 4, 9, 16, 25]), 6)
        0.950099

    Reference: Kornblith et al. 2019; Nguyen et al. 2021 (arXiv 2010.15327) for the unbiased form.
    """
    import torch

    from analysis.hsic import FeatureSums, GramSums

    sides = [torch.as_tensor(side).to(torch.float64) for side in (x, y)]
    sides = [side.reshape(len(side), -1) for side in sides]
    few = len(sides[0]) <= max(side.shape[1] for side in sides)
    sums = (GramSums if few else FeatureSums)(estimator)
    sums.update(sides)
    value = float(sums.cka()[0, 1])
    for index, reason in sums.degenerate().items():
        warnings.warn(f"CKA is NaN: {'xy'[index]}: {reason}", RuntimeWarning, stacklevel=2)
    return value


class CKA:
    """Layer × layer CKA from minibatches.

    The minibatch estimator of Nguyen et al. 2021: HSIC₁ is averaged over batches, in proportion to
    n(n−3), and one ratio is taken at the end. With a single batch it is the full-set value.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> similarity = CKA()
    >>> for _ in range(3):
    ...     first, second = rng.normal(size=(2, 16, 8))
    ...     similarity.update([first, second], [first, second])
    >>> similarity.compute().shape
    (2, 2)
    """

    def __init__(self, estimator: Literal["unbiased", "biased"] = "unbiased") -> None:
        from analysis.hsic import GramSums

        self._sums = GramSums(estimator)
        self._rows = 0

    def update(
        self, x: Sequence[ArrayLike | Tensor], y: Sequence[ArrayLike | Tensor]
    ) -> None:
        """Add a batch: the layers of one side and of the other, (n, …) each, n ≥ 4 (biased: 2)."""
        import torch

        self._rows = len(x)
        self._sums.update([torch.as_tensor(layer) for layer in (*x, *y)])

    def compute(self) -> NDArray[np.float64]:
        """CKA of every layer of x (rows) with every layer of y (columns); NaN as in `cka`."""
        matrix: NDArray[np.float64] = self._sums.cka()[: self._rows, self._rows :].cpu().numpy()
        for index, reason in self._sums.degenerate().items():
            side, place = ("x", index) if index < self._rows else ("y", index - self._rows)
            warnings.warn(f"CKA is NaN: {side}[{place}]: {reason}", RuntimeWarning, stacklevel=2)
        return matrix


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "analysis.cka",
        "Compare the layers of denoisers by CKA: model against model under the first noise, and "
        "each model under the first noise against itself under the others.",
        EXAMPLES,
    )
    count = cli.whole_number
    p.add_argument("models", nargs="+", metavar="MODEL", help="checkpoint file, or bundled name")
    p.add_argument("--images", metavar="DIR", help="folder of clean photographs (default: bundled)")
    p.add_argument(
        "--noise",
        action="append",
        metavar="SPEC",
        help="noise, the first being the reference (repeatable; default: gaussian:15, poisson:3)",
    )
    p.add_argument("--no-quantize", action="store_true", help="noise without clipping and rounding")
    p.add_argument(
        "--layers",
        action="append",
        metavar="PATTERN",
        help="glob, re:REGEX or type:CLASS (repeatable; default: first, blocks, last two)",
    )
    p.add_argument("--estimator", choices=("unbiased", "biased"), default="unbiased")
    p.add_argument(
        "--unit",
        choices=("position", "image"),
        default="position",
        help="what a sample is: a layer's channels at one position (default), or a whole crop, "
        "flattened, which saturates near 1 for denoisers because the content dominates",
    )
    p.add_argument("--positions", type=count(1), default=64, help="per crop (default 64)")
    p.add_argument("--crop", type=count(8), default=64, help="side of a crop (default 64)")
    p.add_argument("--limit", type=count(1), default=CROPS, help="number of crops (default 64)")
    p.add_argument("--batch-size", type=count(1), help="crops (default: position 16, image 64)")
    p.add_argument("--seed", type=count(0), default=0, help="of noise, masks and positions")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    p.add_argument("--output-dir", metavar="DIR", help="default: runs/cka-MODELS-DIGEST")
    p.add_argument(
        "--attention-mask",
        choices=("auto", "on", "off"),
        default="auto",
        help="follow the checkpoint's policy (default), or override it",
    )
    p.add_argument("--mask-samples", type=count(1), default=1, help="mask draws to average")
    p.add_argument(
        "--mask-pairing",
        choices=("shared", "independent"),
        default="shared",
        help="a crop's masks: the same under every noise (default), or drawn anew",
    )
    p.add_argument(
        "--options",
        action="append",
        default=[],
        metavar="[MODEL=]JSON",
        help="KAIR-style option file that states a model's mask policy (repeatable)",
    )
    p.add_argument("--quiet", action="store_true", help="no bar, no messages; the table only")
    return p


def main() -> None:
    """Check everything, compute, write the run folder, print the table."""
    options = parser().parse_args()
    run(options, shlex.join(["python", "-m", "analysis.cka", *sys.argv[1:]]))


def run(options: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed options; returns the run folder.

    Raises:
        BadInput: see `mtd.errors`.
    """
    from tqdm import tqdm

    from analysis import engine, plots
    from analysis.runs import RunFolder
    from mtd import images, noise
    from mtd.checkpoint import resolve_device

    noises = [noise.parse(spec) for spec in options.noise or ("gaussian:15", "poisson:3")]
    specs = [n.spec for n in noises]
    if len(set(specs)) < len(specs):
        raise BadInput(f"--noise {', '.join(specs)}: each noise once")
    device = resolve_device(options.device)
    models = load_models(options)
    layers = choose_layers(models, options.layers)
    crops = images.spread_crops(images.photographs(options.images), options.crop, options.limit)
    groups = make_batches(crops, options)
    manifest = describe(options, command, models, noises, layers, crops, len(groups))
    folder = RunFolder(options.output_dir, f"cka-{'-'.join(models)}", manifest)
    if not options.quiet:
        for name, model in models.items():
            source = model.source
            print(f"{name}: {source['policy']} ({source['policy_source']})", file=sys.stderr)
    walk = engine.walk(
        models,
        noises,
        groups,
        layers,
        seed=options.seed,
        quantize=not options.no_quantize,
        pairing=options.mask_pairing,
        device=device,
        pick=picker(options) if options.unit == "position" else None,
    )
    bar = tqdm(walk, total=len(groups), unit="batch", disable=True if options.quiet else None)
    sums, rows = accumulate(bar, options)
    frame = table(sums, rows, list(models), specs, options, len(crops))
    for index, reason in sums.degenerate().items():
        view, layer = rows[index]
        print(f"NaN: {view.model} under {view.noise}, {layer}: {reason}", file=sys.stderr)
    folder.table("cka.csv", frame)
    for figure, name in ((plots.cross_model, "cross_model.png"), (plots.cross_noise, "cross_noise.png")):
        drawn = figure(frame)
        if drawn is not None:
            folder.figure(name, drawn)
    print(summary(frame, sums.samples))
    print(f"\nwritten to {folder.path}")
    return folder.path


def load_models(options: argparse.Namespace) -> dict[str, SwinIR]:
    """The networks, by names that are short but tell them apart."""
    from mtd.checkpoint import load

    given: list[str] = options.models
    if len(set(given)) < len(given):
        raise BadInput("the same model is given twice")
    stems = [Path(name).stem for name in given]
    names = given if len(set(stems)) < len(stems) else stems
    files: dict[str, str] = {}
    for text in options.options:
        model, equals, file = text.rpartition("=")
        if not equals and len(given) > 1:
            raise BadInput(f"--options {text}: with several models, say which: MODEL=JSON")
        if equals and model not in given:
            raise BadInput(f"--options {text}: no such model; given: {', '.join(given)}")
        files[model or given[0]] = file
    return {
        name: load(
            path,
            attention_mask=options.attention_mask,
            mask_samples=options.mask_samples,
            seed=options.seed,
            device=options.device,
            options=files.get(path),
        )
        for name, path in zip(names, given, strict=True)
    }


def choose_layers(
    models: dict[str, SwinIR], patterns: list[str] | None
) -> dict[str, list[str]]:
    """Layers to record, by model."""
    from analysis.activations import choose

    chosen = {}
    for name, model in models.items():
        try:
            chosen[name] = choose(model, patterns)
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
    return chosen


def make_batches(crops: list[Crop], options: argparse.Namespace) -> list[list[Crop]]:
    """Batches of crops, none too small for the estimator where whole crops are the samples."""
    from analysis.engine import batches

    by_image = options.unit == "image"
    least = 4 if options.estimator == "unbiased" else 2
    samples = len(crops) * (1 if by_image else options.positions)
    if samples < least:
        raise BadInput(
            f"{samples} samples ({len(crops)} crops): {options.estimator} CKA needs {least}; "
            "raise --limit or give more images"
        )
    size = options.batch_size or (CROPS if by_image else 16)
    return batches(crops, size, least if by_image else 1)


def picker(options: argparse.Namespace) -> Any:
    """From a batch of crops to the map that keeps a layer's channels at seeded positions."""
    from analysis.positions import Positions

    def pick(group: Sequence[Crop]) -> Any:
        digests = [crop.digest for crop in group]
        side = options.crop
        return Positions.draw(digests, options.positions, side, side, options.seed).pick

    pick_first = Positions.draw([0], options.positions, options.crop, options.crop, 0)
    del pick_first  # refuses too many positions before anything is computed
    return pick


def accumulate(walk: Any, options: argparse.Namespace) -> tuple[HSICSums, list[tuple[View, str]]]:
    """HSIC sums over all batches, and which (view, layer) each of their rows is."""
    from analysis.hsic import FeatureSums, GramSums

    by_image = options.unit == "image"
    sums = (GramSums if by_image else FeatureSums)(options.estimator)
    rows: list[tuple[View, str]] = []
    for seen in walk:
        rows = [(view, layer) for view, one in seen.items() for layer in one.layers]
        values = [value for one in seen.values() for value in one.layers.values()]
        crops = len(next(iter(seen.values())).output)
        samples = [v.reshape(crops, -1) if by_image else v.flatten(0, 1) for v in values]
        sums.update(samples)
    return sums, rows


def table(
    sums: HSICSums,
    rows: list[tuple[View, str]],
    models: list[str],
    noises: list[str],
    options: argparse.Namespace,
    crops: int,
) -> pd.DataFrame:
    """Long form: every pair of models under the reference noise, then, for each model, the
    reference noise against each other one."""
    import pandas as pd

    from analysis.engine import View

    reference = noises[0]
    pairs = [
        (View(a, reference), View(b, reference)) for i, a in enumerate(models) for b in models[i + 1 :]
    ]
    pairs += [(View(m, reference), View(m, other)) for m in models for other in noises[1:]]
    places: dict[View, list[int]] = {}
    for row, (view, _) in enumerate(rows):
        places.setdefault(view, []).append(row)
    matrix = sums.cka()
    records = [
        (
            *(a.model, a.noise, rows[i][1], depth_a),
            *(b.model, b.noise, rows[j][1], depth_b),
            *(float(matrix[i, j]), options.estimator, options.unit, sums.samples, crops),
        )
        for a, b in pairs
        for depth_a, i in enumerate(places[a])
        for depth_b, j in enumerate(places[b])
    ]
    return pd.DataFrame(records, columns=COLUMNS)


COLUMNS = [
    *("model_a", "noise_a", "layer_a", "index_a", "model_b", "noise_b", "layer_b", "index_b"),
    *("cka", "estimator", "unit", "samples", "crops"),
]


def deepest(layers: Sequence[str]) -> list[str]:
    """The deepest quarter of the blocks, at least one; of all layers where there are no blocks."""
    from analysis.activations import blocks

    chosen = blocks(layers) or list(layers)
    return chosen[-max(1, len(chosen) // 4) :]


def summary(frame: pd.DataFrame, samples: int) -> str:
    """What the figures show, in a few lines."""
    from analysis.activations import blocks
    from analysis.plots import short

    if frame.empty:
        return "nothing to compare: give two models, or two noises"
    first = frame.iloc[0]
    lines = [
        f"CKA, {first.estimator}, {samples:,} {first.unit}s of {first.crops} crops; "
        "mean over the deepest quarter of the blocks"
    ]
    width = max(map(len, {*frame.model_a, *frame.model_b}))
    same = frame[frame.model_a == frame.model_b]
    for (model, a, b), part in same.groupby(["model_a", "noise_a", "noise_b"], sort=False):
        deep = deepest(list(dict.fromkeys(part.layer_a)))
        diagonal = part[(part.layer_a == part.layer_b) & part.layer_a.isin(deep)].cka
        lines.append(f"  {model:<{width}}  {a} against {b}: {diagonal.mean(skipna=False):.3f}")
    other = frame[frame.model_a != frame.model_b]
    for (a, b, noise), part in other.groupby(["model_a", "model_b", "noise_a"], sort=False):
        layers_a, layers_b = (list(dict.fromkeys(part[c])) for c in ("layer_a", "layer_b"))
        deep_a, deep_b = deepest(layers_a), deepest(layers_b)
        both = part[part.layer_a.isin(deep_a) & part.layer_b.isin(deep_b)].cka
        lines.append(f"  {a} against {b} under {noise}: {both.mean(skipna=False):.3f}")
        facing = part[part.layer_a.isin(deep_a) & part.layer_b.isin(blocks(layers_b) or layers_b)]
        if facing.cka.notna().any():
            best = facing.loc[facing.cka.idxmax()]
            verdict = "matches" if best.cka >= MATCH else "match no"
            shown = ", ".join(short(name) for name in deep_a)
            lines.append(
                f"  {a}'s deepest ({shown}) "
                + ("match a" if verdict == "matches" else verdict)
                + f" block of {b}: best {best.cka:.3f}, with {short(best.layer_b)} "
                f"(a match is {MATCH:g} or more)"
            )
    return "\n".join(lines)


def describe(
    options: argparse.Namespace,
    command: str,
    models: dict[str, SwinIR],
    noises: list[Noise],
    layers: dict[str, list[str]],
    crops: list[Crop],
    batches: int,
) -> dict[str, Any]:
    """The manifest: everything that decides the numbers."""
    from analysis.runs import versions
    from mtd.swinir import SwinIR

    del SwinIR
    return {
        "analysis": "cka",
        "command": command,
        "versions": versions(),
        "models": {name: model.source for name, model in models.items()},
        "attention_mask": options.attention_mask,
        "mask_samples": options.mask_samples,
        "mask_pairing": options.mask_pairing,
        "noises": [noise.spec for noise in noises],
        "quantize": not options.no_quantize,
        "layers": layers,
        "estimator": options.estimator,
        "unit": options.unit,
        "positions": options.positions if options.unit == "position" else None,
        "batches": batches,
        "seed": options.seed,
        "device": options.device,
        "crop": options.crop,
        "crop_rule": "spread",
        "images": options.images or "bundled",
        "crops": [
            {"image": c.image, "top": c.top, "left": c.left, "sha256": c.digest} for c in crops
        ],
    }


if __name__ == "__main__":
    cli.run(main)
