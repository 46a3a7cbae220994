"""One step of training: Adam on L1, masks drawn on the device, states that resume bit for bit.

No random state outlives a step: crops and their noise come from streams keyed by (seed, position),
masks from counter-based numbers keyed by (seed, step, index in the batch). So the state of a run is
its weights, their average, the optimizer's moments and the step, and neither the number of
processes nor gradient accumulation changes the result; masks are the same on every device.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mtd
from mtd.loading import checkpoint_file
from mtd.masking import DrawnMasks, draw_input_mask
from mtd.networks import registry, window_attention
from mtd.noise import specs as noise_specs
from mtd.training import prefetch, schedules
from mtd.training import state as training_state
from mtd.training.batch_parts import BatchParts, Firsts
from mtd.training.config import Recipe
from mtd.training.reading import Reading, open_pairs
from mtd.utils import counter_random, seeds
from mtd.utils.counter_random import BatchStream
from mtd.utils.device import is_out_of_memory, resolve_device
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput, Failed


class Trainer:
    """One training run.

    Args:
        recipe: the settings, checked.
        folder: of the run.
        device: of the network.
        command: the command line, for the record.
        ranks: the processes that share each batch.
        reading: how photographs are read.

    Raises:
        BadInput: no training images, an absent device, a batch that cannot be divided, or too
            little shared memory for processes that read ahead.
    """

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
        self.parts = BatchParts(run.batch_size, ranks, run.accumulate)
        self.pairs = open_pairs(recipe, reading, self.device)
        self.noise_streams = [self.pairs.noise_stream]
        self.workers = reading.workers
        count = run.steps * self.parts.accumulate
        prefetch.check(self.pairs, count, self.parts.size, self.workers)
        self.batches: Iterator[tuple[Tensor, Tensor]] | None = None
        self.network = registry.build(recipe.network)
        self.network.initialize(seeds.generator("weights", run.seed))
        self.level = (getattr(noise_specs.parse(data.noise), "level", None) or 0.0) / 255
        self.network.inference.policy = recipe.mask
        if run.precision == "float64":
            self.network.double()
        self._set_up_batch_norm()
        self.network.to(self.device).train()
        if run.attention == "flex" and self.device.type == "cpu":
            raise BadInput('[run] attention = "flex": it has no gradients on the CPU; use "auto"')
        window_attention.set_path(self.network, cast(window_attention.Choice, run.attention))
        if run.channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.parameters: list[Tensor] = list(self.network.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.forward = self._forward()
        optimizer, cuda = recipe.optimizer, self.device.type == "cuda"
        kind = torch.optim.AdamW if optimizer.optimizer == "adamw" else torch.optim.Adam
        self.adam = kind(
            self.parameters,
            lr=optimizer.learning_rate,
            betas=(optimizer.betas[0], optimizer.betas[1]),
            weight_decay=optimizer.weight_decay,
            fused=cuda or None,
        )
        self.step = 0
        self.tables: Callable[[], dict[str, str]] = dict
        """What the tables of the run hold, by file name; kept with the state."""
        self.tables_of_state: dict[str, str] = {}
        self.bad = torch.full((), -1, dtype=torch.int64, device=self.device)
        """The first step whose loss was not finite, or -1; on the device, to avoid waiting."""

    def _set_up_batch_norm(self) -> None:
        """Let batch normalization take the statistics of whole batches over all processes.

        Raises:
            BadInput: the batch is split in a way that does not allow it.
        """
        if not self._takes_whole_batches():
            return
        kind = registry.of(self.recipe.network).name
        if self.recipe.run.accumulate > 1:
            raise BadInput(
                f"[run] accumulate = {self.recipe.run.accumulate}: the batch normalization of a "
                f"{kind} needs whole batches; use 1"
            )
        if self.ranks.size > 1:
            if self.device.type != "cuda":
                raise BadInput(
                    f"{self.ranks.size} processes: the batch normalization of a {kind} needs whole "
                    "batches, which several processes have on GPUs only; use one"
                )
            nn.SyncBatchNorm.convert_sync_batchnorm(self.network)

    def _takes_whole_batches(self) -> bool:
        norms = (nn.BatchNorm2d, nn.SyncBatchNorm)
        return any(isinstance(part, norms) for part in self.network.modules())

    def _forward(self) -> nn.Module:
        """The network as it is called in training: compiled, and distributed over processes."""
        forward: nn.Module = self.network
        run = self.recipe.run
        if run.compile:
            forward = torch.compile(forward, mode=run.compile_mode)  # type: ignore[assignment]
        if self.ranks.size > 1:
            forward = nn.parallel.DistributedDataParallel(forward, broadcast_buffers=False)
        return forward

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step; see `mtd.training.schedules.factor`."""
        optimizer = self.recipe.optimizer
        return optimizer.learning_rate * schedules.factor(
            step,
            self.recipe.run.steps,
            cast(schedules.Schedule, optimizer.schedule),
            warmup=optimizer.warmup,
            milestones=optimizer.milestones,
            gamma=optimizer.gamma,
            final=optimizer.final_learning_rate / optimizer.learning_rate,
        )

    def advance(self) -> Tensor:
        """One optimizer step; returns the loss of this process's images, on the device.

        Where memory does not suffice, the same step is done again in smaller parts.

        Raises:
            BadInput: memory does not suffice, and the parts cannot be made smaller, or it is that
                of the update; or the network cannot be compiled.
            Failed: another process ended for that reason.
        """
        step = self.step
        for group in self.adam.param_groups:
            group["lr"] = self.learning_rate(step)
        while (total := self._accumulated()) is None:
            self._halve_parts()
        try:
            self._update(total)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if self.ranks.size > 1:
                self.ranks.announce_failure()
            # Some weights may have changed already: unlike gradients, this cannot be done again.
            raise BadInput(
                f"out of memory at step {step + 1}, when the weights were updated, which has no "
                f"smaller parts: free memory on {self.device} and go on with --resume from the "
                "last state, or start anew with a smaller [network]"
            ) from error
        self.step += 1
        return total

    def _update(self, total: Tensor) -> None:
        """Update the weights and their average from the gradients of a step.

        Args:
            total: the loss of the step.
        """
        recipe, step = self.recipe, self.step
        if recipe.optimizer.clip:
            nn.utils.clip_grad_norm_(self.parameters, recipe.optimizer.clip)
        self.adam.step()
        with torch.no_grad():
            # A smaller decay at the start, so that the initial weights are soon forgotten.
            decay = min(recipe.optimizer.ema, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.average, self.parameters, 1 - decay)
            odd = ~total.isfinite() & (self.bad < 0)
            self.bad = torch.where(odd, torch.full_like(self.bad, step), self.bad)

    def _accumulated(self) -> Tensor | None:
        """Accumulate the gradients of a step; returns the loss, or None where memory ran out."""
        self.adam.zero_grad()
        if self.recipe.run.compile:
            # Gradients and outputs of the step before may be overwritten from here on.
            torch.compiler.cudagraph_mark_step_begin()
        total = torch.zeros((), device=self.device)
        try:
            for part in range(self.parts.accumulate):
                last = part == self.parts.accumulate - 1
                with self._exchange(last), self._autocast():
                    loss = self.loss(self.parts.first(part)) / self.parts.accumulate
                with self._exchange(last):
                    loss.backward()
                total += loss.detach()
        except RuntimeError as error:
            if is_out_of_memory(error):
                return None
            if self.ranks.another_failed:
                raise Failed("another process ended before its work was done") from error
            if self.recipe.run.compile and _is_of_compilation(error):
                raise BadInput(
                    "[run] compile = true: PyTorch cannot compile the network here "
                    f"({_line(error)}); it needs a C++ compiler and Python's headers: install "
                    "them, or set compile = false"
                ) from error
            raise
        return total

    def _halve_parts(self) -> None:
        """Go on in smaller parts of the batch; see `BatchParts.halve`."""
        if self.ranks.size > 1:
            self.ranks.announce_failure()
        self.parts.halve(self.step + 1, self._takes_whole_batches())
        self.batches = None  # the step's batch is read again, in other parts
        self.adam.zero_grad()
        if self.recipe.run.compile:
            torch.compiler.reset()  # else it would be compiled for parts of any size
            self.forward = self._forward()
        gc.collect()  # activations that the failed call holds in cycles
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _exchange(self, last: bool) -> AbstractContextManager[Any]:
        """Context that exchanges gradients with other processes for the last part only."""
        if last or not isinstance(self.forward, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return self.forward.no_sync()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.recipe.run.precision != "bf16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def loss(self, first: int) -> Tensor:
        """Mean absolute error of a part of this step's batch.

        Args:
            first: index of the part's first image in the batch.
        """
        recipe, step = self.recipe, self.step
        pairs = next(self._batches())
        like = self.parameters[0]
        noisy, clean = (x.to(like, non_blocking=True) for x in pairs)
        if recipe.run.channels_last:
            noisy = noisy.contiguous(memory_format=torch.channels_last)
        key = seeds.derive("masks", recipe.run.seed, step)
        stream = BatchStream.of(key, first, self.parts.size, self.device)
        return F.l1_loss(self.denoised(noisy, stream).to(clean.dtype), clean)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's parts of the batches from the current step on."""
        if self.batches is None:
            cuda, parts = self.device.type == "cuda", self.parts
            firsts = Firsts(parts, range(self.step, self.recipe.run.steps))
            self.batches = prefetch.batches(self.pairs, firsts, parts.size, self.workers, cuda)
        return self.batches

    def denoised(self, noisy: Tensor, stream: BatchStream) -> Tensor:
        """The network's output in training, (B, 3, H, W), with masks drawn from a stream."""
        policy, (batch, _, height, width) = self.recipe.mask, noisy.shape
        output: Tensor
        if not self.network.takes_masks:
            conditional = self.network.takes_sigma
            sigma = noisy.new_full((batch,), self.level) if conditional else None
            drawn = {"stream": stream} if self.network.draws else {}
            output = self.forward(noisy, sigma=sigma, **drawn)
            return output
        mask = None
        if policy.masks_input:
            mask = draw_input_mask(height, width, policy.input_percent, stream)
        percent = policy.attention_percent
        # The method, since PyTorch 2.5 compiles anew for each object that is itself called.
        masks = DrawnMasks(percent, stream).__call__ if percent else None
        output = self.forward(noisy, input_mask=mask, masks=masks, stream=stream)
        return output

    def check(self, weights: bool = False) -> None:
        """Check that every loss was finite.

        Args:
            weights: whether to check the weights too, before they are saved.

        Raises:
            BadInput: one is not; the message has the step, the crops, and the last good state.
        """
        step = int(self.bad)
        if step < 0 and weights and not all(bool(p.isfinite().all()) for p in self.parameters):
            step = self.step - 1
        if step < 0:
            return
        size = self.recipe.run.batch_size
        good = "no state was saved before"
        if training_state.exists(self.folder):
            good = f"{self.folder / training_state.STATE} has the last good state"
        snapshots = sorted(self.folder.glob("snapshot-*.pth"))
        if snapshots:
            good += f", {snapshots[-1].name} the last network that can be used"
        raise BadInput(
            f"the loss or the weights at step {step + 1} are NaN or infinite (crops {step * size} "
            f"to {(step + 1) * size - 1} of seed {self.recipe.run.seed}); {good}: lower the "
            "learning rate and start anew"
        )

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights and the buffers, such as statistics of batch normalization, by name.

        Without an average they are the weights themselves.
        """
        names = [name for name, _ in self.network.named_parameters()]
        return self.network.state_dict() | dict(zip(names, self.average, strict=True))

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Context in which the network has the averaged weights."""
        own = [p.detach().clone() for p in self.parameters]
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.average)
            try:
                yield
            finally:
                torch._foreach_copy_(self.parameters, own)

    def save_model(self, name: str) -> None:
        """Write the averaged weights with hyper-parameters, mask policy and provenance."""
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
            "noise_stream": "; ".join(self.noise_streams),
            "accumulate": self.parts.accumulate,
            "out_of_memory_at": self.parts.out_of_memory_at,
        }
        checkpoint_file.save(
            self.folder / name,
            self.weights(),
            network=self.recipe.network,
            mask=self.recipe.mask,
            training=training,
        )

    def save_state(self) -> None:
        """Write the state of the run, for `resume`.

        Raises:
            BadInput: see `check`; the previous state stays.
        """
        self.check(weights=True)
        state = {
            "step": self.step,
            "streams": counter_random.VERSION,
            "data": self.pairs.digest,
            "noise_streams": self.noise_streams,
            "network": self.network.state_dict(),
            "average": self.average,
            "adam": self.adam.state_dict(),
            "accumulate": self.parts.accumulate,
            "out_of_memory_at": self.parts.out_of_memory_at,
            "tables": self.tables(),
        }
        training_state.save(self.folder, state)

    def _draws(self) -> bool:
        """Whether the network is trained with masks or other random numbers of its own."""
        mask, network = self.recipe.mask, self.recipe.network
        parts = (getattr(network, name, 0) for name in ("drop_path", "output_dropout"))
        masked = mask.masks_input or mask.attention_percent
        drawn = self.network.takes_masks and bool(masked or any(parts))
        return drawn or self.network.draws

    def resume(self) -> str:
        """Restore the last saved state; returns a message about a damaged one, or nothing.

        Raises:
            BadInput: no state can be read, or it belongs to another run.
        """
        _, message = training_state.load(self.folder, self._restore)
        return message

    def _restore(self, state: dict[str, Any]) -> None:
        step, data, average = int(state["step"]), str(state["data"]), list(state["average"])
        shapes = [tensor.shape for tensor in average]
        if shapes != [p.shape for p in self.parameters] or not 0 <= step <= self.recipe.run.steps:
            raise BadInput(f"{self.folder}: its state does not belong to this recipe; start anew")
        if state.get("streams", 1) != counter_random.VERSION and self._draws():
            raise BadInput(
                f"{self.folder}: its state was saved by a version of mtd that draws other masks; "
                "finish it with that version, or start anew with another --output-dir"
            )
        self.network.load_state_dict(state["network"])
        # The settings are the recipe's and this device's, whichever device the state is from.
        own = self.adam.state_dict()["param_groups"]
        self.adam.load_state_dict(state["adam"] | {"param_groups": own})
        if data != self.pairs.digest:
            raise BadInput(
                f"{self.folder}: the run was begun with other photographs; give the same ones in "
                "the same order, or start anew with another --output-dir"
            )
        self.step, self.average = step, [value.to(self.device) for value in average]
        tables = state.get("tables", {})
        self.tables_of_state = {str(name): str(text) for name, text in tables.items()}
        drawn = [*state.get("noise_streams", []), self.pairs.noise_stream]
        self.noise_streams = list(dict.fromkeys(drawn))  # several if the device has changed
        self.parts.out_of_memory_at = list(state.get("out_of_memory_at", ()))
        if self.parts.out_of_memory_at:
            self.parts.divide(int(state["accumulate"]))


def _is_of_compilation(error: RuntimeError) -> bool:
    """Whether an error comes from `torch.compile`, or from the compiler that it calls."""
    from torch._dynamo.exc import TorchDynamoException  # which takes seconds to import

    return isinstance(error, TorchDynamoException) or "compiler" in str(error).lower()


def _line(error: Exception) -> str:
    """The first line of a message, and the next one where the first announces it by a colon."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    count = 2 if lines and lines[0].endswith(":") else 1
    return " ".join(lines[:count])[:160] or type(error).__name__
