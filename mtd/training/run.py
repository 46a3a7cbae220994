"""A training run in its folder: the loop over steps, logs, validation, snapshots and resuming."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtd.networks import window_attention
from mtd.training import logs, slices, validation
from mtd.training import state as training_state
from mtd.training.config import Recipe
from mtd.training.interrupts import finishing_steps
from mtd.training.intervals import Intervals
from mtd.training.logs import Log
from mtd.training.reading import Reading
from mtd.training.slices import SAVING, VALIDATION, OutOfTime, Slice, TimeLimit
from mtd.training.trainer import Trainer
from mtd.training.validation import Validator
from mtd.utils import atomic_write, folder_files, input_files, interruptions, locks, progress
from mtd.utils.device import exact
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput
from mtd.utils.messages import note, plural

MODEL, AVERAGE, RECIPE = "model.pth", "average.pth", "recipe.json"
TABLES = (logs.LOG, logs.VALIDATION, logs.SLICES, logs.SIGMAS)
WRITTEN = (RECIPE, *TABLES, logs.EVENTS, validation.FOLDER)
"""Files and folders in that of a run, but for states and models."""


def prepare(recipe: Recipe, folder: Path, resume: bool) -> bool:
    """Create the folder and write the recipe into it; returns whether there is a run to resume.

    The photographs of a run may have moved, or be in an archive now: its state identifies them.

    Raises:
        BadInput: the folder holds a run and `resume` is false, one with another recipe, or a link.
    """
    for name in WRITTEN:
        folder_files.path_of(folder, name)  # nothing is written where a link leads
    path = folder / RECIPE
    begun = training_state.exists(folder) or any(folder.glob("*.pth"))
    if begun and not resume:
        raise BadInput(f"{folder} holds a run already: add --resume, or choose --output-dir")
    if begun and not _recipe_of(path):
        raise BadInput(
            f"{folder} holds a run, but its {path.name} is missing or damaged: restore that file, "
            "or choose another --output-dir"
        )
    if begun and (changed := _changed(_recipe_of(path), recipe.to_dict())):
        raise BadInput(
            f"{folder} holds a run with another recipe ({changed}): give the settings in {path}, "
            "or choose another --output-dir"
        )
    if begun and not training_state.exists(folder):
        raise BadInput(
            f"{folder} holds models but no {training_state.STATE} to resume: choose --output-dir"
        )
    for partial in folder.glob(f"{atomic_write.TEMPORARY}*"):  # of a write that was killed
        with suppress(OSError):
            atomic_write.remove_left(partial)
    if not begun:
        atomic_write.write(path, json.dumps(recipe.to_dict(), indent=2, allow_nan=False) + "\n")
    return begun


def _recipe_of(path: Path) -> dict[str, Any]:
    """The recipe in the folder of a run; empty if there is none."""
    try:
        recipe = input_files.json(path)
    except BadInput:
        return {}
    whole = isinstance(recipe, dict) and all(isinstance(part, dict) for part in recipe.values())
    return recipe if whole else {}


def _changed(held: dict[str, Any], given: dict[str, Any]) -> str:
    """A setting that differs between two recipes; empty if only the photographs' places may."""
    for section in dict.fromkeys([*given, *held]):
        one, other = (dict(recipe.get(section, {})) for recipe in (held, given))
        for name in dict.fromkeys([*other, *one]):
            if one.get(name) != other.get(name) and (section, name) != ("data", "folders"):
                before, now = (_shown(values, name) for values in (one, other))
                return f"{section}.{name} is {before} there and {now} here"
    return ""


def _shown(values: dict[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else "the default"


def train(
    recipe: Recipe,
    folder: Path,
    *,
    device: str | torch.device = "auto",
    resume: bool = False,
    quiet: bool = False,
    command: str = "",
    ranks: Ranks = SINGLE_PROCESS,
    reading: Reading | None = None,
    limit: TimeLimit | None = None,
) -> Path:
    """Train to the recipe's last step and return the path of the finished model.

    Writes into `folder`: `recipe.json`, `log.csv`, `validation.csv` and pictures of the validation,
    TensorBoard events, `state.pt` (for resuming) and the previous state, snapshots at a quarter,
    half and three quarters of the steps, and `model.pth`. A run whose time is up before that has
    the averaged weights in `average.pth`. Each slice, from the start or a state to the end or the
    next state, adds a row to `slices.csv`. A resumed run is equal, bit for bit, to one that was
    never interrupted, on the same machine with the same number of threads.

    Args:
        recipe: the settings, checked.
        folder: of the run.
        device: of the network; see `mtd.utils.device.chosen`.
        resume: continue the run in the folder.
        quiet: no progress, no messages.
        command: the command line, for the record.
        ranks: the processes that share each batch; rank 0 writes.
        reading: how photographs are read.
        limit: the time for it; the clock of rank 0 counts.

    Raises:
        BadInput: no training images, an absent device, a folder that cannot be used, or that
            another training uses, too little memory for the smallest part of a batch, or a loss
            that is not finite.
        OutOfTime: the time is up; the state is saved.
        KeyboardInterrupt: after Ctrl-C, SIGTERM or SIGHUP to any process; the step is finished,
            and saved as at the end of a slice, without a validation.
    """
    with ExitStack() as held:
        reading = replace(reading or Reading(), quiet=quiet or not ranks.first)
        limit = limit or TimeLimit()
        return _train(recipe, folder, device, resume, command, ranks, reading, limit, held)


def _train(
    recipe: Recipe,
    folder: Path,
    device: str | torch.device,
    resume: bool,
    command: str,
    ranks: Ranks,
    reading: Reading,
    limit: TimeLimit,
    held: ExitStack,
) -> Path:
    """See `train`; `held` is for the lock of the folder."""
    quiet = reading.quiet
    with ranks.raise_on_all_ranks():
        trainer = Trainer(recipe, folder, device, command, ranks, reading)
        settings = recipe.validation
        validator = None
        if settings.every and ranks.first:
            validator = Validator(
                settings.folders,
                settings.noises,
                settings.crops,
                settings.crop,
                recipe.run.seed,
                page=recipe.data.page or None,
                channels=recipe.network.in_chans,
            )
    begun = False
    with ranks.raise_on_all_ranks():
        if ranks.first:
            held.enter_context(locks.alone(folder, "trains into"))
            begun = prepare(recipe, folder, resume)
    begun = ranks.gather(begun)[0]
    with ranks.raise_on_all_ranks():
        message = trainer.resume() if begun else ""
    if message:
        note(message, quiet=quiet)
    if resume and not begun:
        note(f"nothing to resume in {folder}: starting anew", quiet=quiet)
    log = None
    if ranks.first:
        noises = tuple(validator.pairs) if validator else ()
        log = Log(folder)
        log.start(
            trainer.step,
            validates=validator is not None,
            slices=slices.columns(noises),
            texts=trainer.tables_of_state,
        )
        trainer.tables = log.texts
        log.record_sigmas(validator.sigmas if validator else [])
    _describe(trainer, quiet)
    first = slices.seconds_first(folder, slices.device_name(trainer.device))
    current = Slice(trainer.step, limit, first)
    try:
        with finishing_steps() as interrupted:
            stopped = _loop(trainer, log, validator, current, interrupted, quiet)
            with ranks.raise_on_all_ranks():  # a launcher ends all once one of them has ended
                if log is not None:
                    _end(trainer, log, validator, current, quiet or stopped, measures=not stopped)
    finally:
        if log is not None:
            log.close()
    if stopped:
        raise KeyboardInterrupt(
            f"stopped at step {trainer.step}; the same command with --resume continues from there"
        )
    if trainer.step < recipe.run.steps:
        none = "" if current.step > current.begin else ", too little for another step"
        raise OutOfTime(
            f"stopped at step {trainer.step} of {recipe.run.steps} after {limit.passed:.0f} s"
            f"{none}; the same command with --resume continues"
        )
    return folder / MODEL


def _describe(trainer: Trainer, quiet: bool) -> None:
    """Notes on skipped images, and on network, data and machine."""
    pairs, size = trainer.pairs, trainer.recipe.data.crop
    if pairs.bad:
        names = "; ".join(pairs.bad[:5]) + ("; …" if len(pairs.bad) > 5 else "")
        note(f"skipped, cannot be read ({len(pairs.bad)}): {names}", quiet=quiet)
    if small := pairs.too_small:
        names = ", ".join(small[:5]) + (", …" if len(small) > 5 else "")
        note(f"skipped, smaller than {size} x {size}: {names} ({len(small)})", quiet=quiet)
    for line in pairs.skipped:
        note(line, quiet=quiet)
    count = sum(p.numel() for p in trainer.parameters)
    images = plural(len(pairs.photographs), "image")
    threads = plural(torch.get_num_threads(), "thread")
    note(
        f"{count:,} parameters, {trainer.recipe.mask}; {images}; "
        f"noise drawn on {pairs.noise_stream}; {trainer.device}, {threads}, "
        f"torch {torch.__version__}, Python {platform.python_version()}",
        quiet=quiet,
    )


def _loop(
    trainer: Trainer,
    log: Log | None,
    validator: Validator | None,
    current: Slice,
    interrupted: Callable[[], int],
    quiet: bool,
) -> bool:
    """Train to the last step, or until the time is up; returns whether a signal stopped it."""
    run, ranks = trainer.recipe.run, trainer.ranks
    alone = ranks.size == 1
    due = Intervals(trainer.recipe, always=alone and trainer.device.type == "cpu")
    total = torch.zeros((), dtype=torch.float64, device=exact(trainer.device))
    since = time.perf_counter()
    counted, halved = 0, len(trainer.parts.out_of_memory_at)
    with progress.running(("training",), quiet=quiet):
        progress.step("training", run.steps, "steps", done=trainer.step)
        over = ranks.gather(current.over(due.validates_soon(trainer.step)))[0]
        while trainer.step < run.steps and not over:
            total += trainer.advance().to(total.device)
            counted += 1
            step, waits = trainer.step, due.waits(trainer.step)
            progress.advance()
            if len(trainer.parts.out_of_memory_at) > halved:
                halved = len(trainer.parts.out_of_memory_at)
                note(trainer.parts.halved, quiet=quiet)
            if waits:
                with ranks.raise_on_all_ranks():
                    trainer.check(weights=due.checks_weights(step))
                current.read(step)
            if due.logs(step):
                mean = float(ranks.sum(total)[0]) / ranks.size / counted
                seconds = max(time.perf_counter() - since, 1e-9)
                speed = counted * run.batch_size / seconds
                with ranks.raise_on_all_ranks():
                    if log is not None:
                        _check_there(trainer.folder)
                        log.loss(step, mean, trainer.learning_rate(step - 1), speed)
                progress.add(f"loss {mean:.4f}, {speed:.1f} images/s")
                total.zero_()
                counted, since = 0, time.perf_counter()
            if waits or alone:
                with ranks.raise_on_all_ranks():
                    if log is not None:
                        _validate_and_save(trainer, log, validator, current, due)
                stops = ranks.gather((interrupted(), current.over(due.validates_soon(step))))
                if step < run.steps and (signals := [sent for sent, _ in stops if sent]):
                    interruptions.note(signals[0])  # perhaps of another process
                    with ranks.raise_on_all_ranks():
                        trainer.check(weights=True)
                    current.read(step)
                    return True
                over = waits and stops[0][1]
    return False


def _check_there(folder: Path) -> None:
    """Check that a run's folder was not removed, or parts of it would be written anew.

    Raises:
        BadInput: it was.
    """
    if not (folder / RECIPE).exists():
        raise BadInput(f"{folder}: removed while the run went on; start it anew")


def _validate_and_save(
    trainer: Trainer, log: Log, validator: Validator | None, current: Slice, due: Intervals
) -> None:
    """What is due after a step on rank 0; where time is limited, the first time to measure it."""
    _check_there(trainer.folder)
    step = trainer.step
    measures = due.waits(step) and current.unmeasured
    if validator and due.validates(step):
        outputs = _measure(trainer, validator, current)
        log.validated(step, current.psnr)
        validator.save(outputs, trainer.folder, step)
    elif validator and measures:
        current.estimate(VALIDATION, lambda: validator.probe(trainer.network), validator.count)
    if due.keeps(step):
        with current.apart(SAVING):
            trainer.save_model(f"snapshot-{step:06d}.pth")
    if due.saves(step) or measures:
        with current.apart(SAVING):
            trainer.save_state()


def _measure(trainer: Trainer, validator: Validator, current: Slice) -> dict[str, Tensor]:
    """Outputs of the averaged weights by noise; the slice remembers their PSNR."""
    with current.apart(VALIDATION), trainer.averaged():
        results = validator.run(trainer.network)
    means = {spec: float(psnr.mean()) for spec, (psnr, _) in results.items()}
    current.validated = (trainer.step, means)
    return {spec: output for spec, (_, output) in results.items()}


def _attention(trainer: Trainer) -> str:
    """The path that window attention takes in training."""
    run = trainer.recipe.run
    if not window_attention.is_used_by(trainer.network):
        return "none"
    if run.attention != "auto":
        return run.attention
    return window_attention.fastest(trainer.device.type, gradient=True, compiled=run.compile)


def _end(
    trainer: Trainer,
    log: Log,
    validator: Validator | None,
    current: Slice,
    quiet: bool,
    measures: bool = True,
) -> None:
    """Save the state and the averaged weights, and report on the slice.

    Args:
        measures: whether there is a validation, if there is time for it.
    """
    finished = trainer.step == trainer.recipe.run.steps
    trainer.save_state()
    trainer.save_model(MODEL if finished else AVERAGE)
    if finished:
        (trainer.folder / AVERAGE).unlink(missing_ok=True)
    if current.step == current.begin:
        return
    if validator and measures and not current.psnr and current.closes:
        _measure(trainer, validator, current)
    noisy = validator.noisy_psnr() if validator else {}
    more = {
        "device": slices.device_name(trainer.device),
        "torch": torch.__version__,
        "attention": _attention(trainer),
        "accumulate": trainer.parts.accumulate,
        "out_of_memory": len(trainer.parts.out_of_memory_at),
    }
    log.slices.add(current.row(noisy) | more)
    trainer.save_state()  # with this row
    run, trained = trainer.recipe.run, trainer.recipe.data.noise
    note(current.table(run.steps, run.batch_size, trained, noisy), quiet=quiet)
