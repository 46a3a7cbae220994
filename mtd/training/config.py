"""Training recipes: the settings of a TOML file, checked before training starts."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from mtd.masking import MaskPolicy
from mtd.networks import registry
from mtd.networks.base import Denoiser
from mtd.networks.config import Config
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.networks.window_attention import Choice, is_used_by
from mtd.noise import specs as noise_specs
from mtd.noise import synthetic
from mtd.training.schedules import Schedule
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput, nearest, one_of
from mtd.utils.typed_values import build

PRECISIONS = ("float32", "bf16", "float64")
OPTIMIZERS = ("adam", "adamw")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")

ADDED = {
    "data": ("page", "on_device"),
    "optimizer": (
        *("optimizer", "weight_decay", "schedule", "warmup", "final_learning_rate", "clip"),
    ),
    "run": ("compile_mode", "attention"),
}
"""Settings that older recipes do not have: at their defaults they are not written, so that a run
can be resumed by a later version."""

CONFIGS = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class Data:
    """The training pairs.

    Attributes:
        folders: of clean photographs, or archives of `mtd.pack`.
        crop: side of the square training crop in pixels.
        noise: of the noisy crop, see `mtd.noise.specs.parse`.
        clip: clip the noisy crop to [0, 1]; training noise is never rounded to 8 bits.
        cache_mb: memory for decoded images, in MB; the others are decoded each time.
        page: of every image file, for training and validation, from 1; with 0, files with several
            pages or frames are refused.
        on_device: whether all photographs are decoded once, onto the device, and noise is drawn
            there, from another stream; see `mtd.training.device_pairs`.
    """

    folders: tuple[str, ...] = ()
    crop: int = 64
    noise: str = "gaussian:15"
    clip: bool = True
    cache_mb: int = 2048
    page: int = 0
    on_device: bool = False


@dataclass(frozen=True)
class Optimizer:
    """Adam or AdamW on the mean absolute error; see `mtd.training.schedules`.

    Attributes:
        optimizer: `adam`, or `adamw` (decoupled weight decay).
        learning_rate: its peak, after the warm-up.
        betas: β₁ and β₂.
        weight_decay: of `adamw`; 0 for `adam`.
        schedule: `steps`, or `cosine` from the peak to `final_learning_rate` at the last step.
        warmup: steps of linear warm-up from 0 to the peak.
        milestones: of `steps`: steps at which the learning rate is multiplied by `gamma`.
        gamma: that factor.
        final_learning_rate: of `cosine`.
        clip: the largest Euclidean norm of the gradient of all weights, to which a larger one is
            scaled down; 0 for none.
        ema: decay of the exponential moving average of the weights that is saved, at step t at
            most (1 + t) / (10 + t); 0 saves the weights themselves.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-4
    betas: tuple[float, ...] = (0.9, 0.99)
    weight_decay: float = 0.0
    schedule: str = "steps"
    warmup: int = 0
    milestones: tuple[int, ...] = (100_000, 150_000)
    gamma: float = 0.5
    final_learning_rate: float = 0.0
    clip: float = 0.0
    ema: float = 0.0


@dataclass(frozen=True)
class Run:
    """Length, batch, precision and intervals of a run.

    Attributes:
        steps: number of optimizer steps.
        batch_size: crops per step, over all processes.
        seed: of all random numbers: weights, order, crops, noise, masks.
        log_every: steps between rows of `log.csv`.
        save_every: steps between states for `--resume`.
        accumulate: gradient accumulation: parts of a batch that go through the network one after
            the other on each process; the result is that of the whole batch.
        precision: `float32`; `bf16`, autocast of the forward pass, with weights in float32; or
            `float64`.
        channels_last: whether images and weights have this memory layout.
        compile: whether the network is compiled by PyTorch.
        compile_mode: of `torch.compile`: `default`; `reduce-overhead`, with CUDA graphs;
            `max-autotune`, with these and kernels that are chosen by measurement; or
            `max-autotune-no-cudagraphs`.
        attention: how window attention is computed: `sdpa`, `matmul`, `flex`, or `auto`, the one
            that is the fastest on the device; see `mtd.networks.window_attention`.
    """

    steps: int = 200_000
    batch_size: int = 64
    seed: int = 0
    log_every: int = 100
    save_every: int = 1000
    accumulate: int = 1
    precision: str = "float32"
    channels_last: bool = False
    compile: bool = False
    compile_mode: str = "default"
    attention: str = "auto"


@dataclass(frozen=True)
class Validation:
    """The validation during training.

    Attributes:
        every: steps between validations; 0 for none.
        folders: of photographs; empty for the bundled ones.
        noises: the training noise, then others.
        crops: number of crops, distributed over the photographs.
        crop: side of a crop in pixels.
    """

    every: int = 1000
    folders: tuple[str, ...] = ()
    noises: tuple[str, ...] = (
        "gaussian:15",
        "gaussian:50",
        "poisson:3.5",
        "speckle:0.04",
        "spatial:60",
        "salt_pepper:0.02",
    )
    crops: int = 16
    crop: int = 64


@dataclass(frozen=True)
class Recipe:
    """All settings that determine the result of a training run, by section of the TOML file."""

    network: Config = field(default_factory=SwinIRConfig)
    mask: MaskPolicy = field(default_factory=MaskPolicy)
    data: Data = field(default_factory=Data)
    optimizer: Optimizer = field(default_factory=Optimizer)
    run: Run = field(default_factory=Run)
    validation: Validation = field(default_factory=Validation)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        plain: dict[str, Any] = _plain(asdict(self))
        for section, names in ADDED.items():
            values = getattr(self, section)
            for name in names:
                if getattr(values, name) == getattr(type(values), name):
                    del plain[section][name]
        return plain | {"network": registry.describe(self.network)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


SECTIONS: dict[str, type[Any]] = {
    "network": Config,
    "mask": MaskPolicy,
    "data": Data,
    "optimizer": Optimizer,
    "run": Run,
    "validation": Validation,
}


def load(
    name: str,
    changes: Iterable[str] = (),
    *,
    folders: Sequence[str] = (),
    baseline: bool = False,
) -> Recipe:
    """The recipe of a TOML file, or of a bundled one by name.

    Args:
        name: a path, or the name of a bundled recipe such as `small.toml`.
        changes: `section.name=value` texts, values in TOML; applied last.
        folders: of photographs, instead of the recipe's.
        baseline: the same network without any mask: the `mask` section is empty, and the file's
            `baseline` section, of `"section.name" = value`, is applied.

    Raises:
        BadInput: no such file, not TOML, an unknown section or name, or a value of a wrong type or
            out of range.

    >>> recipe = load("small.toml", ["run.steps=100"])
    >>> recipe.run.steps, str(recipe.mask)
    (100, 'input mask 60-70% (zero), attention mask 75% (always)')
    >>> str(load("small.toml", baseline=True).mask)
    'no input mask, no attention mask'
    """
    path = Path(name) if Path(name).exists() else CONFIGS / name
    if path.is_dir():
        raise BadInput(f"{name} is a folder: expected a TOML recipe")
    if not path.exists():
        known = [p.name for p in sorted(CONFIGS.glob("*.toml"))]
        raise BadInput(f"{name}: no such file, and no bundled recipe; {nearest(name, known)}")
    values = input_files.toml(path)
    for section, content in values.items():
        if not isinstance(content, dict):
            raise BadInput(f"{name}: [{section}] is not a section of names and values")
    overrides = values.pop("baseline", {})
    masked, values = values, copy.deepcopy(values)
    values["mask"] = {}
    for dotted, value in overrides.items():
        _set(values, dotted, value)
    _build(name, values)  # else a mistake in the baseline section would show only with --baseline
    if not baseline:
        values = masked
    for change in changes:
        dotted, equals, text = change.partition("=")
        if not equals:
            raise BadInput(f"--set {change!r}: expected section.name=value")
        _set(values, dotted.strip(), _value(text.strip()))
    if folders:
        values["data"] = values.get("data", {}) | {"folders": list(folders)}
    recipe = _build(name, values)
    check(recipe)
    return recipe


def _build(name: str, values: Mapping[str, Mapping[str, Any]]) -> Recipe:
    for section in values:
        if section not in SECTIONS:
            raise BadInput(f"{name}: no section {section!r}; {nearest(section, SECTIONS)}")
    network = dict(values.get("network", {}))
    try:
        kind = registry.named(str(network.pop("architecture", "SwinIR"))).config
    except BadInput as error:
        raise BadInput(f"[network] {error}") from None
    rest = {s: build(cls, values.get(s, {}), s) for s, cls in SECTIONS.items() if s != "network"}
    return Recipe(network=build(kind, network, "network"), **rest)


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    section, dot, name = dotted.partition(".")
    if not dot:
        raise BadInput(f"{dotted!r}: expected section.name, sections being {', '.join(SECTIONS)}")
    values[section] = values.get(section, {}) | {name: value}


def _value(text: str) -> Any:
    """A TOML value; other text is a plain string."""
    try:
        return input_files.parsed_toml(f"value = {text}", "value")["value"]
    except BadInput:
        return text


def check(recipe: Recipe) -> None:
    """Refuse what cannot be trained.

    Raises:
        BadInput: sizes that do not fit together, or numbers out of range.
    """
    net, data, optimizer, run = recipe.network, recipe.data, recipe.optimizer, recipe.run
    if net.in_chans not in (1, 3):
        raise BadInput(f"[network] in_chans = {net.in_chans}: expected 3, color, or 1, grayscale")
    _check_noise(f"[data] noise = {data.noise!r}", data.noise, net.in_chans)
    try:
        network = registry.outline(net)
    except BadInput as error:
        raise BadInput(f"[network] {error}") from None
    except (RuntimeError, OverflowError, TypeError) as error:  # sizes beyond 64 bits
        reason = " ".join(str(error).split())[:120]
        raise BadInput(f"[network] cannot be built with these sizes ({reason})") from None
    mask = recipe.mask
    if network.takes_masks:
        learnable = mask.masks_input and mask.fill == "learnable"
        if getattr(net, "mask_token", learnable) != learnable:
            raise BadInput("[network] mask_token is true if and only if [mask] fill is 'learnable'")
    elif mask.masks_input or mask.attention_percent:
        raise BadInput(f"[mask]: a {registry.of(net).name} has no masks; remove the section")
    if data.page < 0:
        raise BadInput(f"[data] page = {data.page}: expected a number from 1, or 0 for none")
    if data.crop < network.smallest:
        raise BadInput(f"[data] crop = {data.crop}: at least the window, {network.smallest}")
    if network.takes_sigma and not isinstance(noise_specs.parse(data.noise), synthetic.Gaussian):
        raise BadInput(
            f"[data] noise = {data.noise!r}: a {registry.of(net).name} is noise-conditional, "
            "expected gaussian:LEVEL"
        )
    if data.cache_mb < 0:
        raise BadInput(f"[data] cache_mb = {data.cache_mb}: expected 0 or more")
    _check_optimizer(optimizer, run.steps)
    _check_run(run, network)
    limits.BATCH.check(
        run.batch_size * data.crop**2 / 1e6,
        f"[run] batch_size = {run.batch_size} of [data] crop = {data.crop}",
    )
    validation = recipe.validation
    if (
        validation.every < 0
        or min(validation.crops, validation.crop) < 1
        or (validation.every and not validation.noises)
    ):
        raise BadInput(
            "[validation] crops and crop are 1 or more, every 0 or more, noises not empty"
        )
    count = validation.crops * (1 + len(validation.noises))
    limits.BATCH.check(
        count * validation.crop**2 / 1e6 if validation.every else 0,
        f"[validation] crops = {validation.crops}, clean and with each of the noises, of crop = "
        f"{validation.crop}",
    )
    for spec in validation.noises:
        _check_noise(f"[validation] noise {spec!r}", spec, net.in_chans)


def _check_noise(where: str, spec: str, channels: int) -> None:
    """See `check`."""
    if noise_specs.parse(spec).needs_color and channels == 1:
        raise BadInput(f"{where}: it needs color images, and [network] in_chans = 1 is grayscale")


def _check_run(run: Run, network: Denoiser) -> None:
    """See `check`."""
    for name in ("steps", "batch_size", "log_every", "save_every", "accumulate"):
        if getattr(run, name) < 1:
            raise BadInput(f"[run] {name} = {getattr(run, name)}: expected 1 or more")
    if run.seed < 0:
        raise BadInput(f"[run] seed = {run.seed}: expected 0 or more")
    one_of("[run] precision =", run.precision, PRECISIONS)
    one_of("[run] compile_mode =", run.compile_mode, COMPILE_MODES)
    if run.compile_mode != "default" and not run.compile:
        raise BadInput(
            f"[run] compile_mode = {run.compile_mode!r}: it has no effect without compile = true; "
            "set both, or neither"
        )
    one_of("[run] attention =", run.attention, get_args(Choice))
    if run.attention != "auto" and not is_used_by(network):
        raise BadInput(
            f"[run] attention = {run.attention!r}: a {type(network).__name__} has no window "
            "attention; remove the setting"
        )


def _check_optimizer(optimizer: Optimizer, steps: int) -> None:
    """See `check`."""
    one_of("[optimizer] optimizer =", optimizer.optimizer, OPTIMIZERS)
    one_of("[optimizer] schedule =", optimizer.schedule, get_args(Schedule))
    if len(optimizer.betas) != 2 or not all(0 <= beta < 1 for beta in optimizer.betas):
        raise BadInput(
            f"[optimizer] betas = {list(optimizer.betas)}: expected two numbers from 0, below 1"
        )
    for name in ("learning_rate", "gamma"):
        if getattr(optimizer, name) <= 0:
            given = f"[optimizer] {name} = {getattr(optimizer, name):g}"
            raise BadInput(f"{given}: expected a number above 0")
    if not 0 <= optimizer.ema < 1:
        raise BadInput(f"[optimizer] ema = {optimizer.ema:g}: expected a number from 0, below 1")
    if optimizer.milestones and min(optimizer.milestones) < 1:
        raise BadInput(
            f"[optimizer] milestones = {list(optimizer.milestones)}: expected steps from 1 on"
        )
    for name in ("weight_decay", "clip", "final_learning_rate"):
        if getattr(optimizer, name) < 0:
            given = f"[optimizer] {name} = {getattr(optimizer, name):g}"
            raise BadInput(f"{given}: expected 0 or more")
    if optimizer.final_learning_rate > optimizer.learning_rate:
        raise BadInput(
            f"[optimizer] final_learning_rate = {optimizer.final_learning_rate:g}: expected at "
            f"most learning_rate, {optimizer.learning_rate:g}"
        )
    if optimizer.weight_decay and optimizer.optimizer == "adam":
        raise BadInput(
            f"[optimizer] weight_decay = {optimizer.weight_decay:g}: adam has none; set "
            'optimizer = "adamw", too'
        )
    if not 0 <= optimizer.warmup <= steps:
        raise BadInput(
            f"[optimizer] warmup = {optimizer.warmup}: expected 0 to {steps}, the steps of the run"
        )
