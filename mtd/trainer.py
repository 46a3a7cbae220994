"""The training loop: Adam on L1, masks drawn on the device, checkpoints that resume bit for bit.

Nothing random outlives a step: crops, noise and masks come from streams keyed by (seed, step), so
the state of a run is its weights, their average, the optimizer's moments and the step.
"""

from __future__ import annotations

import csv
import io
import json
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

import mtd
from mtd import checkpoint, files, noise, registry, seeds
from mtd.dataset import TrainingPairs
from mtd.device import resolve_device
from mtd.errors import BadInput
from mtd.masking import DrawnMasks, draw_input_mask
from mtd.networks.swinir import SwinIR
from mtd.recipe import Recipe

STATE, MODEL, LOG, RECIPE = "state.pt", "model.pth", "log.csv", "recipe.json"
COLUMNS = ("step", "loss", "learning_rate", "images_per_second")
SNAPSHOTS = 3


class Trainer:
    """One run in one folder."""

    def __init__(
        self, recipe: Recipe, folder: Path, device: str | torch.device, command: str
    ) -> None:
        self.recipe, self.folder, self.command = recipe, folder, command
        self.device = resolve_device(device)
        data, run = recipe.data, recipe.run
        self.pairs = TrainingPairs(
            data.folders,
            data.crop,
            data.noise,
            clip=data.clip,
            seed=run.seed,
            cache_mb=data.cache_mb,
        )
        self.network = registry.build(recipe.network)
        self.network.initialise(seeds.generator("weights", run.seed))
        self.level = getattr(noise.parse(data.noise), "level", 0.0) / 255
        self.network.inference.policy = recipe.mask
        self.network.to(self.device).train()
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        optimizer = recipe.optimizer
        self.adam = torch.optim.Adam(
            self.parameters,
            lr=optimizer.learning_rate,
            betas=(optimizer.betas[0], optimizer.betas[1]),
        )
        self.step = 0

    def learning_rate(self, step: int) -> float:
        """The rate of a step: multiplied by gamma at each milestone that is behind."""
        optimizer = self.recipe.optimizer
        passed = sum(step >= milestone for milestone in optimizer.milestones)
        return optimizer.learning_rate * optimizer.gamma**passed

    def advance(self) -> Tensor:
        """One optimizer step; its loss, still on the device."""
        recipe, step = self.recipe, self.step
        noisy, clean = (x.to(self.device) for x in self.pairs.batch(step, recipe.run.batch_size))
        stream = seeds.generator("masks", recipe.run.seed, step, device=self.device)
        loss = F.l1_loss(self.denoised(noisy, stream), clean)
        for group in self.adam.param_groups:
            group["lr"] = self.learning_rate(step)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        with torch.no_grad():
            # Early on the average follows closely, so that the first weights are soon forgotten.
            decay = min(recipe.optimizer.ema, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
        self.step += 1
        return loss.detach()

    def denoised(self, noisy: Tensor, stream: torch.Generator) -> Tensor:
        """What the network makes of a batch in training, its masks drawn from a stream."""
        policy, (batch, _, height, width) = self.recipe.mask, noisy.shape
        if not isinstance(self.network, SwinIR):
            told = noisy.new_full((batch,), self.level) if self.network.takes_sigma else None
            output: Tensor = self.network(noisy, sigma=told)
            return output
        kept = None
        if policy.masks_input:
            kept = draw_input_mask(batch, height, width, policy.input_percent, stream)
        percent = policy.attention_percent
        masks = DrawnMasks(percent, stream) if percent else None
        output = self.network(noisy, input_mask=kept, masks=masks, generator=stream)
        return output  # noqa: RET504

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights (the weights themselves without an average), by name; and buffers,
        such as the statistics of batch normalisation."""
        names = [name for name, _ in self.network.named_parameters()]
        return self.network.state_dict() | dict(zip(names, self.average, strict=True))

    def save_model(self, name: str) -> None:
        """Write the averaged weights with configuration, mask policy and provenance."""
        run, data = self.recipe.run, self.recipe.data
        training = {
            "version": mtd.__version__,
            "torch": torch.__version__,
            "command": self.command,
            "steps": self.step,
            "batch_size": run.batch_size,
            "crop": data.crop,
            "noise": data.noise,
            "seed": run.seed,
            "data": list(data.folders),
            "images": len(self.pairs.photographs),
            "ema": self.recipe.optimizer.ema,
        }
        checkpoint.save(
            self.folder / name,
            self.weights(),
            network=self.recipe.network,
            mask=self.recipe.mask,
            training=training,
        )

    def save_state(self) -> None:
        """Write all that `resume` needs."""
        state = {
            "step": self.step,
            "data": self.pairs.digest,
            "network": self.network.state_dict(),
            "average": self.average,
            "adam": self.adam.state_dict(),
        }
        files.write(self.folder / STATE, checkpoint.torch_bytes(state))

    def resume(self) -> None:
        """Take up the run in the folder where it was last saved.

        Raises:
            BadInput: the state cannot be read.
        """
        path = self.folder / STATE
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            step, data, average = int(state["step"]), str(state["data"]), list(state["average"])
            self.network.load_state_dict(state["network"])
            self.adam.load_state_dict(state["adam"])
            shapes = [tensor.shape for tensor in average]
            if shapes != [p.shape for p in self.parameters] or step > self.recipe.run.steps:
                raise ValueError("it does not belong to this recipe")
        except Exception as error:
            reason = str(error).split("\n")[0][:160]
            raise BadInput(f"{path}: cannot resume from it ({reason}); start anew") from None
        if data != self.pairs.digest:
            raise BadInput(
                f"{path}: the photographs have changed since; with others it would be another run"
            )
        self.step, self.average = step, average


class Stopped(Exception):
    """An interruption was asked for, and the step that was under way is done."""


@contextmanager
def finishing_steps() -> Iterator[Callable[[], None]]:
    """Ctrl-C waits for the end of a step: yields a function that raises `Stopped` if it was asked.

    A step is never cut in two, so that the saved state is one of the run. The second Ctrl-C
    interrupts at once. Signals reach the main thread only; elsewhere nothing changes.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.default_int_handler(number, frame)
        asked = True

    def check() -> None:
        if asked:
            raise Stopped

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass
class Log:
    """`log.csv`, one row every so many steps; rows after the step of a resumed run are dropped.

    The first row after resuming averages the loss since then; all others are as without a break.
    """

    path: Path

    def start(self, step: int) -> None:
        """Keep the rows up to `step`, write the header if there is none."""
        rows: list[dict[str, str]] = []
        if step and self.path.exists():
            with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
                rows = [row for row in csv.DictReader(file) if self._whole(row, step)]
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        files.write(self.path, text.getvalue())

    @staticmethod
    def _whole(row: dict[str, str], step: int) -> bool:
        """Whether a row is not later, and complete, as a killed run's last may not be."""
        complete = set(row) == set(COLUMNS) and all(row.values())
        return complete and row["step"].isdecimal() and int(row["step"]) <= step

    def add(self, **row: Any) -> None:
        """Append a row."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)


def prepare(recipe: Recipe, folder: Path, resume: bool) -> bool:
    """Make the folder and write the recipe into it; True if there is a run to resume.

    Raises:
        BadInput: the folder holds a run and `resume` is not asked for, or one with another recipe.
    """
    held = folder / RECIPE
    text = json.dumps(recipe.to_dict(), indent=2) + "\n"
    begun = (folder / STATE).exists() or any(folder.glob("*.pth"))
    if begun and not resume:
        raise BadInput(f"{folder} holds a run already: add --resume, or choose --output-dir")
    if begun and (not held.exists() or held.read_bytes() != text.encode()):
        raise BadInput(f"{folder} holds a run with another recipe ({held}): cannot resume it")
    if begun and not (folder / STATE).exists():
        raise BadInput(f"{folder} holds models but no {STATE} to resume: choose --output-dir")
    files.write(held, text)
    return begun


def train(
    recipe: Recipe,
    folder: Path,
    *,
    device: str | torch.device = "cpu",
    resume: bool = False,
    quiet: bool = False,
    command: str = "",
) -> Path:
    """Train to the recipe's last step and return the path of the finished model.

    Writes into `folder`: `recipe.json`, `log.csv`, `state.pt` (for resuming), three snapshots at a
    quarter, half and three quarters of the way, and `model.pth`. Resuming gives the same bits as a
    run that was never interrupted, on the same machine with the same number of threads.

    Raises:
        BadInput: nothing to train on, an absent device, a folder that cannot be used.
        KeyboardInterrupt: interrupted; at the first Ctrl-C the step is finished, the state saved.
    """
    trainer = Trainer(recipe, folder, device, command)
    if prepare(recipe, folder, resume):
        trainer.resume()
    elif resume and not quiet:
        print(f"nothing to resume in {folder}: starting anew", file=sys.stderr)
    log = Log(folder / LOG)
    log.start(trainer.step)
    _tell(trainer, quiet)
    try:
        _loop(trainer, log, quiet)
    except Stopped:
        trainer.save_state()
        raise KeyboardInterrupt(
            f"stopped at step {trainer.step}; the same command with --resume goes on from there"
        ) from None
    trainer.save_state()
    trainer.save_model(MODEL)
    return folder / MODEL


def _tell(trainer: Trainer, quiet: bool) -> None:
    """One line on stderr about what is trained on what, and one about images left out."""
    small = trainer.pairs.too_small
    if small:
        shown = ", ".join(small[:5]) + (", …" if len(small) > 5 else "")
        size = trainer.recipe.data.crop
        tqdm.write(
            f"left out, smaller than {size} x {size}: {shown} ({len(small)})", file=sys.stderr
        )
    if quiet:
        return
    count = sum(p.numel() for p in trainer.parameters)
    tqdm.write(
        f"{count:,} parameters, {trainer.recipe.mask}; {len(trainer.pairs.photographs)} images; "
        f"{trainer.device}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        file=sys.stderr,
    )


def _loop(trainer: Trainer, log: Log, quiet: bool) -> None:
    run = trainer.recipe.run
    snapshots = {run.steps * part // (SNAPSHOTS + 1) for part in range(1, SNAPSHOTS + 1)}
    total, since = torch.zeros((), dtype=torch.float64, device=trainer.device), time.perf_counter()
    counted = 0
    bar = tqdm(total=run.steps, initial=trainer.step, disable=True if quiet else None, unit="step")
    with bar, finishing_steps() as check:
        while trainer.step < run.steps:
            total += trainer.advance()
            counted += 1
            step = trainer.step
            bar.update()
            if step % run.log_every == 0 or step == run.steps:
                mean = float(total) / counted
                seconds = max(time.perf_counter() - since, 1e-9)
                speed = counted * run.batch_size / seconds
                log.add(
                    step=step,
                    loss=f"{mean:.6g}",
                    learning_rate=f"{trainer.learning_rate(step - 1):.6g}",
                    images_per_second=f"{speed:.4g}",
                )
                bar.set_postfix_str(f"loss {mean:.4f}, {speed:.1f} images/s")
                if mean != mean:
                    raise BadInput(f"the loss is NaN at step {step}: lower the learning rate")
                total.zero_()
                counted, since = 0, time.perf_counter()
            if step in snapshots:
                trainer.save_model(f"snapshot-{step:06d}.pth")
            if step % run.save_every == 0:
                trainer.save_state()
            check()
