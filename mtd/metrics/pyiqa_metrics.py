"""Metrics of the package pyiqa, by names such as `pyiqa:dists`.

pyiqa is an extra: `pip install 'masked-training-denoisers[iqa]'`. Which way is better, and whether
a metric compares with the clean image, is as pyiqa says. Images are those that LPIPS is given: the
whole image in RGB, clipped and rounded to 8 bits unless a protocol says otherwise; a grayscale one
has its channel three times. Each is evaluated by itself, with the same random numbers, so that no
value depends on the batch.

Reference: Chen and Mo, *IQA-PyTorch: PyTorch Toolbox for Image Quality Assessment*, 2022,
https://github.com/chaofengc/IQA-PyTorch.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import logging
import math
import random
import re
import socket
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtd.metrics.psnr_ssim import Quantize, as_rgb, levels
from mtd.metrics.registry import Metric
from mtd.utils.errors import BadInput, nearest

PREFIX = "pyiqa:"
"""With which the names of its metrics begin."""

INSTALL = "pip install 'masked-training-denoisers[iqa]'"

OF_SETS = frozenset({"fid", "sfid", "fid_dinov2", "inception_score"})
"""Metrics of a set of images, which give no value of a single one."""

OF_MORE = frozenset({"clipscore", "fgresq_pair"})
"""Metrics of an image and a text, or with several values."""

SEED = 123
"""Of the random numbers that some metrics draw, such as the crops that they look at."""

PATIENCE = 20
"""Seconds to wait for the server of a metric's weights."""

DECIBEL = ("psnr", "psnry")
"""The metrics whose values are in dB."""


class NotRun(RuntimeError):
    """A metric that cannot be computed; the message says why, as in `weights missing (https…)`."""


def check(name: str) -> None:
    """Check that a name such as `pyiqa:dists` is one that can be computed, before it is made.

    Raises:
        BadInput: pyiqa is not installed, has no such metric, or one that has no value of an image.
    """
    own = name.removeprefix(PREFIX)
    if not installed():
        raise BadInput(f"metric {name}: the package pyiqa is not installed; {INSTALL}")
    known = names()
    if own not in known:
        raise BadInput(f"metric {name}: {nearest(own, known)}")
    if own in OF_SETS:
        raise BadInput(f"metric {name}: compares sets of images; expected a metric of one image")
    if own in OF_MORE:
        raise BadInput(f"metric {name}: needs more than an image and its clean one; choose another")


def installed() -> bool:
    """Whether pyiqa is."""
    return find_spec("pyiqa") is not None


def names() -> tuple[str, ...]:
    """The names of pyiqa's metrics, without prefix."""
    return tuple(_package().list_models())


def _package() -> Any:
    """pyiqa, which takes seconds to import."""
    return importlib.import_module("pyiqa")


def load(name: str, device: str = "cpu") -> Metric:
    """A metric by a name such as `pyiqa:dists`, which downloads its weights the first time.

    Args:
        name: with the prefix `pyiqa:`.
        device: of its network.

    Raises:
        BadInput: see `check`.
        NotRun: its weights, or a package that it needs, are missing.
    """
    check(name)
    own = name.removeprefix(PREFIX)
    model = _create(own, device)
    score_range = str(getattr(model, "score_range", "") or "")
    return Metric(
        name=name,
        label=label(name),
        unit="dB" if own in DECIBEL else "",
        higher_is_better=not model.lower_better,
        digits=_digits(score_range),
        function=Scores(model, full_reference=model.metric_mode == "FR"),
        full_reference=model.metric_mode == "FR",
        source={
            "package": "pyiqa",
            "version": version("pyiqa"),
            "settings": _settings(own),
            "score_range": score_range,
            "weights": _digest(model),
        },
        refuses=_Sizes(model),
        quantizes=True,
    )


def label(name: str) -> str:
    """What a metric is called in figures and sentences.

    >>> label("pyiqa:dists")
    'DISTS (pyiqa)'
    """
    return f"{name.removeprefix(PREFIX).upper()} (pyiqa)"


def _create(own: str, device: str) -> Any:
    """pyiqa's metric.

    Raises:
        NotRun: it cannot be made.
    """
    said, before = io.StringIO(), socket.getdefaulttimeout()
    logger, listener = logging.getLogger("huggingface_hub"), logging.StreamHandler(said)
    logger.addHandler(listener)
    socket.setdefaulttimeout(PATIENCE)
    try:
        with contextlib.redirect_stdout(said), _seeded():
            return _package().create_metric(own, device=torch.device(device))
    except ImportError as error:
        package = error.name or str(error)
        raise NotRun(f"the package {package}, which pyiqa needs for it, is missing") from None
    except OSError as error:  # what urllib, requests and huggingface_hub raise
        addresses = re.findall(r"https?://[^\s\"'<>]+", f"{said.getvalue()} {error}")
        where = addresses[-1] if addresses else "pyiqa does not name their address"
        raise NotRun(f"weights missing ({where})") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise NotRun(f"pyiqa cannot make it ({reason})") from None
    finally:
        socket.setdefaulttimeout(before)
        logger.removeHandler(listener)


class Scores:
    """One value for each image, by a metric of pyiqa.

    Args:
        model: what `pyiqa.create_metric` returns.
        full_reference: whether it compares with the clean image.
    """

    def __init__(self, model: Any, full_reference: bool) -> None:
        self.model, self.full_reference = model, full_reference

    def __call__(self, output: Tensor, target: Tensor, quantize: Quantize = True) -> Tensor:
        """(B,) float64 on the CPU; NaN for an output that is not finite.

        Args:
            output: (B, 3, H, W) or (B, 1, H, W), nominally in [0, 1].
            target: the same shape; ignored without reference.
            quantize: round both to 8 bits first, or with "clip" only clip; they are in [0, 1] then.
        """
        pairs = zip(prepared(output, quantize), prepared(target, quantize), strict=True)
        return torch.tensor([self._value(*pair) for pair in pairs], dtype=torch.float64)

    def _value(self, output: Tensor, target: Tensor) -> float:
        if not output.isfinite().all():
            return math.nan
        images = [image[None].to(self.model.device) for image in (output, target)]
        with _seeded(), torch.no_grad():
            found = self.model(*images) if self.full_reference else self.model(images[0])
        return float(found)


def prepared(image: Tensor, quantize: Quantize) -> Tensor:
    """(B, 3, H, W) float32 in [0, 1]: clipped, rounded to 8 bits, a gray channel three times."""
    return as_rgb((levels(image, quantize) / 255).float())


class _Sizes:
    """Which sizes of images a metric refuses, found by a trial on a synthetic image of that size.

    A size is refused if the trial fails, has no finite value, or cannot tell a noisy image from the
    clean one.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.known = model, dict[tuple[int, int], str]()

    def __call__(self, height: int, width: int) -> str:
        """Why images of a size have no value; empty if they have one."""
        size = height, width
        if size not in self.known:
            self.known[size] = self._why_not(*size)
        return self.known[size]

    def _why_not(self, height: int, width: int) -> str:
        rng = np.random.default_rng(SEED)
        # of finite differences like a photograph's, since white noise misleads some metrics
        walk = rng.normal(size=(3, height, width)).cumsum(1).cumsum(2)
        low, high = walk.min(), walk.max()
        clean = torch.from_numpy((walk - low) / max(high - low, 1e-9))[None]
        noisy = clean + 0.1 * torch.from_numpy(rng.normal(size=walk.shape))[None]
        full_reference = self.model.metric_mode == "FR"
        score = Scores(self.model, full_reference)
        too_small = f"images of {height} x {width} are too small for it"
        try:
            values = [float(score(image, clean)) for image in (noisy, clean)]
        except (RuntimeError, ValueError, IndexError, AssertionError, ZeroDivisionError) as error:
            if "memory" in str(error):  # as PyTorch says of CPUs and GPUs
                return f"not enough memory for images of {height} x {width}"
            return too_small
        if math.isnan(values[0]) or (full_reference and values[0] == values[1]):
            return too_small
        return ""


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Global random numbers from `SEED`, and afterwards as they were: some metrics draw crops."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        random.seed(SEED)
        np.random.seed(SEED)  # noqa: NPY002
        torch.manual_seed(SEED)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def _settings(own: str) -> dict[str, Any]:
    """The settings with which pyiqa makes a metric, if it says so."""
    try:
        configs = importlib.import_module("pyiqa.default_model_configs").DEFAULT_CONFIGS
        found = configs[own]["metric_opts"]
    except (ImportError, AttributeError, KeyError):
        return {}
    plain = (bool, int, float, str)
    return {str(k): value if isinstance(value, plain) else str(value) for k, value in found.items()}


def _digest(model: Any) -> str:
    """SHA-256 of the tensors of a metric's network by name; empty without any."""
    tensors = {name: value for name, value in model.state_dict().items() if value.numel()}
    if not tensors:
        return ""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _digits(score_range: str) -> int:
    """Decimals in tables, by the range of the values such as `0, ~100`.

    >>> _digits("0, 1"), _digits("~0, ~100"), _digits("")
    (4, 2, 4)
    """
    numbers = [abs(float(text)) for text in re.findall(r"-?\d+(?:\.\d+)?", score_range)]
    return 2 if max(numbers, default=0) >= 10 else 4
