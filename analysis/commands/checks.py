"""What is checked of a command line before PyTorch is imported: names, noises, files, folders.

Everything is checked again, and more thoroughly, where it is used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from analysis.text.noise_names import CLEAN
from mtd.loading import cli_options
from mtd.loading.cli_options import ModelRequest
from mtd.noise import specs as noise_specs
from mtd.noise.training_noise import TrainingNoise
from mtd.utils import input_files, near_paths
from mtd.utils.errors import BadInput, close_to

DEVICES = ("auto", "cpu", "cuda", "mps")


def models(requests: Iterable[object]) -> None:
    """Check the files of those models that are requests of a command line.

    Raises:
        BadInput: see `mtd.loading.cli_options.check`.
    """
    cli_options.check([one for one in requests if isinstance(one, ModelRequest)])


def noises(specs: Iterable[str], rounded: bool = True) -> None:
    """Check specifications of noises, and that there are the folders of recorded ones.

    Args:
        specs: the specifications.
        rounded: whether noisy images are rounded to 8 bits.

    Raises:
        BadInput: one that cannot be used, one that is given twice, or whose level is a share of 1
            instead of 255.
    """
    seen = set[str]()
    for spec in specs:
        name = spec
        if spec.startswith(noise_specs.FOLDER):
            images([spec.removeprefix(noise_specs.FOLDER)])
        else:
            noise = noise_specs.parse(spec)
            noise_specs.check_scale(noise, rounded)
            name = noise.spec
        if name in seen and name != CLEAN:  # which an analysis may add, or refuse itself
            raise BadInput(f"--noise {name}: given twice; leave one out")
        seen.add(name)


def trained_on(texts: Iterable[str]) -> None:
    """Check those values of `--in-distribution` that a kind of noise begins.

    Others may begin with the name of a model, or be names of recorded noise, which are known later.

    Raises:
        BadInput: one of them names no noise.
    """
    for text in texts:
        kind = re.split("[:=]", text)[0].strip()
        if noise_specs.kind_of(kind) is not None:
            try:
                TrainingNoise.parse([text])
            except BadInput as error:
                raise BadInput(f"--in-distribution {text}: {error}") from None


def images(places: Iterable[str | Path], kind: str = "folder") -> None:
    """Check that there are folders or files of images.

    Raises:
        BadInput: there is none of a path.
    """
    for place in places:
        try:
            os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            raise BadInput(near_paths.absent(Path(place), kind)) from None
        except (OSError, ValueError) as error:  # too long a name, a zero byte
            raise input_files.unreadable(place, error) from None


def device(name: str) -> None:
    """Check the spelling of a device; whether it is there is known once PyTorch is.

    Raises:
        BadInput: it is close to one that is known, or a common name of one.
    """
    kind, colon, number = name.partition(":")
    if kind in DEVICES:
        return
    meant = ["cuda"] if kind.lower() in ("gpu", "nvidia") else close_to(kind, DEVICES)
    if meant:
        raise BadInput(f"device {name!r}: did you mean {meant[0]}{colon}{number}?")
