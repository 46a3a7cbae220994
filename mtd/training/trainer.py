"""The training loop: Adam on L1, masks drawn on the device, checkpoints that resume bit for bit.

Nothing random outlives a step: crops and their noise come from streams keyed by (seed, position),
masks from one keyed by (seed, step) and drawn for the whole batch, so the state of a run is its
weights, their average, the optimizer's moments and the step, and neither the number of processes
nor the parts of a batch change what is learnt.
"""

from __future__ import annotations

import json
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

import mtd
from mtd.loading import checkpoint_file
from mtd.masking import DrawnMasks, draw_input_mask
from mtd.networks import registry
from mtd.noise import specs as noise_specs
from mtd.training import prefetch
from mtd.training import state as training_state_
from mtd.training.config import Recipe
from mtd.training.logs import Log
from mtd.training.pairs import TrainingPairs
from mtd.training.validation import Validator
from mtd.utils import atomic_write, seeds
from mtd.utils.device import resolve_device
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput

MODEL, RECIPE = "model.pth", "recipe.json"
SNAPSHOTS = 3

LOOK = 10
"""Steps between looks at whether a loss was finite, on a GPU, where each look waits for it."""


@dataclass(frozen=True)
class Reading:
    """How photographs are read; nothing of it changes what is learnt, but which files are left out.

    Attributes:
        workers: processes that make batches ahead of time.
        store: folder of a memory-mapped file of decoded photographs, made if it is not there.
        skip_bad: leave out files that cannot be read.
    """

    workers: int = 0
    store: Path | None = None
    skip_bad: bool = False


class Trainer:
    """One run in one folder."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        device: str | torch.device,
        command: str,
        ranks: Ranks = SINGLE_PROCESS,
        reading: Reading | None = None,
    ) -> None:
        reading = reading or Reading()
        self.recipe, self.folder, self.command, self.ranks = recipe, folder, command, ranks
        self.device = resolve_device(device)
        data, run = recipe.data, recipe.run
        parts = ranks.size * run.accumulate
        if run.batch_size % parts:
            raise BadInput(
                f"[run] batch_size = {run.batch_size}: {ranks.size} processes of {run.accumulate} "
                f"parts each need a multiple of {parts}"
            )
        self.part = run.batch_size // parts
        self.pairs = TrainingPairs(
            data.folders,
            data.crop,
            data.noise,
            clip=data.clip,
            seed=run.seed,
            cache_mb=data.cache_mb,
            store=reading.store,
            skip_bad=reading.skip_bad,
        )
        self.workers = reading.workers
        self.batches: Iterator[tuple[Tensor, Tensor]] | None = None
        self.network = registry.build(recipe.network)
        self.network.initialise(seeds.generator("weights", run.seed))
        self.level = (getattr(noise_specs.parse(data.noise), "level", None) or 0.0) / 255
        self.network.inference.policy = recipe.mask
        if run.precision == "float64":
            self.network.double()
        self._see_statistics()
        self.network.to(self.device).train()
        if run.channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.forward = self._forward()
        optimizer, cuda = recipe.optimizer, self.device.type == "cuda"
        self.adam = torch.optim.Adam(
            self.parameters,
            lr=optimizer.learning_rate,
            betas=(optimizer.betas[0], optimizer.betas[1]),
            fused=cuda or None,
        )
        self.step = 0
        self.bad = torch.full((), -1, dtype=torch.int64, device=self.device)
        """The first step whose loss was not finite, or -1; on the device, to wait for nothing."""

    def _see_statistics(self) -> None:
        """Batch normalisation takes the statistics of whole batches, on GPUs over all processes.

        Raises:
            BadInput: it cannot.
        """
        if not any(isinstance(part, nn.BatchNorm2d) for part in self.network.modules()):
            return
        kind = registry.of(self.recipe.network).name
        if self.recipe.run.accumulate > 1:
            raise BadInput(
                f"[run] accumulate = {self.recipe.run.accumulate}: the batch normalisation of a "
                f"{kind} needs whole batches; use 1"
            )
        if self.ranks.size > 1:
            if self.device.type != "cuda":
                raise BadInput(
                    f"{self.ranks.size} processes: the batch normalisation of a {kind} needs whole "
                    "batches, which several processes have on GPUs only; use one"
                )
            nn.SyncBatchNorm.convert_sync_batchnorm(self.network)

    def _forward(self) -> nn.Module:
        """The network as it is called in training: compiled, gradients those of all processes."""
        forward: nn.Module = self.network
        if self.recipe.run.compile:
            forward = torch.compile(forward)  # type: ignore[assignment]
        if self.ranks.size > 1:
            forward = nn.parallel.DistributedDataParallel(forward, broadcast_buffers=False)
        return forward

    def learning_rate(self, step: int) -> float:
        """The rate of a step: multiplied by gamma at each milestone that is behind."""
        optimizer = self.recipe.optimizer
        passed = sum(step >= milestone for milestone in optimizer.milestones)
        return optimizer.learning_rate * optimizer.gamma**passed

    def advance(self) -> Tensor:
        """One optimizer step; the loss of this process's images, still on the device."""
        recipe, step = self.recipe, self.step
        for group in self.adam.param_groups:
            group["lr"] = self.learning_rate(step)
        self.adam.zero_grad()
        total = torch.zeros((), device=self.device)
        for part in range(recipe.run.accumulate):
            first = (self.ranks.rank * recipe.run.accumulate + part) * self.part
            last = part == recipe.run.accumulate - 1
            with self._without_exchange(last), self._autocast():
                loss = self.loss(first) / recipe.run.accumulate
            with self._without_exchange(last):
                loss.backward()
            total += loss.detach()
        self.adam.step()
        with torch.no_grad():
            # Early on the average follows closely, so that the first weights are soon forgotten.
            decay = min(recipe.optimizer.ema, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
            odd = ~total.isfinite() & (self.bad < 0)
            self.bad = torch.where(odd, torch.full_like(self.bad, step), self.bad)
        self.step += 1
        return total

    def _without_exchange(self, last: bool) -> AbstractContextManager[Any]:
        """Around all parts of a batch but the last: gradients are not exchanged yet."""
        if last or not isinstance(self.forward, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return self.forward.no_sync()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.recipe.run.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def loss(self, first: int) -> Tensor:
        """Mean absolute error of a part of this step's batch; masks are those of the batch."""
        recipe, step, size = self.recipe, self.step, self.recipe.run.batch_size
        pairs = next(self._batches())
        like = self.parameters[0]
        noisy, clean = (x.to(like, non_blocking=True) for x in pairs)
        if recipe.run.channels_last:
            noisy = noisy.contiguous(memory_format=torch.channels_last)
        generator = seeds.generator("masks", recipe.run.seed, step, device=self.device)
        stream = seeds.BatchStream(generator, size, first, self.part)
        return F.l1_loss(self.denoised(noisy, stream).to(clean.dtype), clean)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's parts of the batches from the present step on."""
        if self.batches is None:
            run, cuda = self.recipe.run, self.device.type == "cuda"
            own = range(self.ranks.rank * run.accumulate, (self.ranks.rank + 1) * run.accumulate)
            firsts = [
                step * run.batch_size + part * self.part
                for step in range(self.step, run.steps)
                for part in own
            ]
            self.batches = prefetch.batches(self.pairs, firsts, self.part, self.workers, cuda)
        return self.batches

    def denoised(self, noisy: Tensor, stream: seeds.BatchStream) -> Tensor:
        """What the network makes of images in training, its masks drawn from a stream."""
        policy, (batch, _, height, width) = self.recipe.mask, noisy.shape
        output: Tensor
        if not self.network.takes_masks:
            told = noisy.new_full((batch,), self.level) if self.network.takes_sigma else None
            output = self.forward(noisy, sigma=told)
            return output
        kept = None
        if policy.masks_input:
            kept = draw_input_mask(height, width, policy.input_percent, stream)
        percent = policy.attention_percent
        masks = DrawnMasks(percent, stream) if percent else None
        output = self.forward(noisy, input_mask=kept, masks=masks, stream=stream)
        return output

    def check(self, weights: bool = False) -> None:
        """Stop if a loss was not finite, or the weights are not that are about to be saved.

        Raises:
            BadInput: so it is; says at which step, on what, and where to go on from.
        """
        step = int(self.bad)
        if step < 0 and weights and not all(bool(p.isfinite().all()) for p in self.parameters):
            step = self.step - 1
        if step < 0:
            return
        size = self.recipe.run.batch_size
        good = "no state was saved before"
        if training_state_.exists(self.folder):
            good = f"{self.folder / training_state_.STATE} has the last good state"
        snapshots = sorted(self.folder.glob("snapshot-*.pth"))
        if snapshots:
            good += f", {snapshots[-1].name} the last network that can be used"
        raise BadInput(
            f"the loss or the weights at step {step + 1} are NaN or infinite (crops {step * size} "
            f"to {(step + 1) * size - 1} of seed {self.recipe.run.seed}); {good}: lower the "
            "learning rate and start anew"
        )

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights (the weights themselves without an average), by name; and buffers,
        such as the statistics of batch normalisation."""
        names = [name for name, _ in self.network.named_parameters()]
        return self.network.state_dict() | dict(zip(names, self.average, strict=True))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the network has the averaged weights."""
        own = [p.detach().clone() for p in self.parameters]
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.average)
            try:
                yield
            finally:
                torch._foreach_copy_(self.parameters, own)

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
            "precision": run.precision,
            "data": list(data.folders),
            "images": len(self.pairs.photographs),
            "ema": self.recipe.optimizer.ema,
        }
        checkpoint_file.save(
            self.folder / name,
            self.weights(),
            network=self.recipe.network,
            mask=self.recipe.mask,
            training=training,
        )

    def save_state(self) -> None:
        """Write all that `resume` needs.

        Raises:
            BadInput: see `check`; what was there stays.
        """
        self.check(weights=True)
        state = {
            "step": self.step,
            "data": self.pairs.digest,
            "network": self.network.state_dict(),
            "average": self.average,
            "adam": self.adam.state_dict(),
        }
        training_state_.save(self.folder, state)

    def resume(self) -> str:
        """Take up the run in the folder where it was last saved; what is to be said of it, if any.

        Raises:
            BadInput: no state can be read.
        """
        _, said = training_state_.load(self.folder, self.device, self._take_up)
        return said

    def _take_up(self, state: dict[str, Any]) -> None:
        step, data, average = int(state["step"]), str(state["data"]), list(state["average"])
        shapes = [tensor.shape for tensor in average]
        if shapes != [p.shape for p in self.parameters] or step > self.recipe.run.steps:
            raise BadInput(f"{self.folder}: its state does not belong to this recipe; start anew")
        self.network.load_state_dict(state["network"])
        self.adam.load_state_dict(state["adam"])
        if data != self.pairs.digest:
            raise BadInput(
                f"{self.folder}: the photographs have changed since; with others it would be "
                "another run"
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


def prepare(recipe: Recipe, folder: Path, resume: bool) -> bool:
    """Make the folder and write the recipe into it; True if there is a run to resume.

    Raises:
        BadInput: the folder holds a run and `resume` is not asked for, or one with another recipe.
    """
    held = folder / RECIPE
    text = json.dumps(recipe.to_dict(), indent=2) + "\n"
    begun = training_state_.exists(folder) or any(folder.glob("*.pth"))
    if begun and not resume:
        raise BadInput(f"{folder} holds a run already: add --resume, or choose --output-dir")
    if begun and (not held.exists() or held.read_bytes() != text.encode()):
        raise BadInput(f"{folder} holds a run with another recipe ({held}): cannot resume it")
    if begun and not training_state_.exists(folder):
        raise BadInput(
            f"{folder} holds models but no {training_state_.STATE} to resume: choose --output-dir"
        )
    atomic_write.write(held, text)
    return begun


def train(
    recipe: Recipe,
    folder: Path,
    *,
    device: str | torch.device = "cpu",
    resume: bool = False,
    quiet: bool = False,
    command: str = "",
    ranks: Ranks = SINGLE_PROCESS,
    reading: Reading | None = None,
) -> Path:
    """Train to the recipe's last step and return the path of the finished model.

    Writes into `folder`: `recipe.json`, `log.csv`, `validation.csv` and pictures of the validation,
    TensorBoard's events, `state.pt` (for resuming) and the state before it, three snapshots at a
    quarter, half and three quarters of the way, and `model.pth`. Resuming gives the same bits as a
    run that was never interrupted, on the same machine with the same number of threads.

    Args:
        recipe: checked.
        folder: of the run.
        device: where to train.
        resume: go on with the run in the folder.
        quiet: no bar, no messages.
        command: the command line, for the record.
        ranks: the processes that share each batch; the first one writes.
        reading: of photographs.

    Raises:
        BadInput: nothing to train on, an absent device, a folder that cannot be used, a loss that
            is not finite.
        KeyboardInterrupt: interrupted; at the first Ctrl-C the step is finished, the state saved.
    """
    quiet = quiet or not ranks.first
    with ranks.raise_on_all_ranks():
        trainer = Trainer(recipe, folder, device, command, ranks, reading)
        shown = recipe.validation
        validator = None
        if shown.every and ranks.first:
            validator = Validator(
                shown.folders, shown.noises, shown.crops, shown.crop, recipe.run.seed
            )
    begun = False
    with ranks.raise_on_all_ranks():
        if ranks.first:
            begun = prepare(recipe, folder, resume)
    begun = ranks.gather(begun)[0]
    with ranks.raise_on_all_ranks():
        said = trainer.resume() if begun else ""
    if said and not quiet:
        print(said, file=sys.stderr)
    if resume and not begun and not quiet:
        print(f"nothing to resume in {folder}: starting anew", file=sys.stderr)
    log = None
    if ranks.first:
        log = Log(folder)
        log.start(trainer.step, validates=validator is not None)
    _tell(trainer, quiet)
    try:
        _loop(trainer, log, validator, quiet)
    except Stopped:
        if ranks.first:
            trainer.save_state()
        raise KeyboardInterrupt(
            f"stopped at step {trainer.step}; the same command with --resume goes on from there"
        ) from None
    finally:
        if log is not None:
            log.close()
    if ranks.first:
        trainer.save_state()
        trainer.save_model(MODEL)
    return folder / MODEL


def _tell(trainer: Trainer, quiet: bool) -> None:
    """One line on stderr about what is trained on what, and one about images left out."""
    if bad := trainer.pairs.bad:
        shown = "; ".join(bad[:5]) + ("; …" if len(bad) > 5 else "")
        tqdm.write(f"left out, not to be read ({len(bad)}): {shown}", file=sys.stderr)
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


def _loop(trainer: Trainer, log: Log | None, validator: Validator | None, quiet: bool) -> None:
    run, ranks, every = trainer.recipe.run, trainer.ranks, trainer.recipe.validation.every
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
            logs = step % run.log_every == 0 or step == run.steps
            saves = step % run.save_every == 0 or step in snapshots
            looks = logs or saves or step % LOOK == 0
            if looks or (ranks.size == 1 and trainer.device.type == "cpu"):
                with ranks.raise_on_all_ranks():
                    trainer.check(weights=saves or step == run.steps)
            if logs:
                mean = float(ranks.sum(total)[0]) / ranks.size / counted
                seconds = max(time.perf_counter() - since, 1e-9)
                speed = counted * run.batch_size / seconds
                if log is not None:
                    log.loss(step, mean, trainer.learning_rate(step - 1), speed)
                bar.set_postfix_str(f"loss {mean:.4f}, {speed:.1f} images/s")
                total.zero_()
                counted, since = 0, time.perf_counter()
            if validator and log and every and (step % every == 0 or step == run.steps):
                _validate(trainer, validator, log)
            if ranks.first and step in snapshots:
                trainer.save_model(f"snapshot-{step:06d}.pth")
            if ranks.first and step % run.save_every == 0:
                trainer.save_state()
            if (looks or ranks.size == 1) and any(ranks.gather(_asked(check))):
                raise Stopped


def _validate(trainer: Trainer, validator: Validator, log: Log) -> None:
    """Show the averaged weights the validation's crops."""
    with trainer.averaged():
        found = validator.run(trainer.network)
    log.validated(trainer.step, {spec: float(psnr.mean()) for spec, (psnr, _) in found.items()})
    outputs = {spec: output for spec, (_, output) in found.items()}
    validator.save(outputs, trainer.folder, trainer.step)


def _asked(check: Callable[[], None]) -> bool:
    try:
        check()
    except Stopped:
        return True
    return False
