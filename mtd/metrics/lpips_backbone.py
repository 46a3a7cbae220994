"""The backbone of LPIPS: the convolutions of torchvision's AlexNet, where they are, and their file.

The file is torchvision's, or one of the convolutions alone; it is recognized by the SHA-256 of its
ten tensors, whatever else it holds. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtd.tensor_files import tensors_only, unpickling
from mtd.utils import downloads, input_files, limits, user_folders
from mtd.utils.downloads import Remote
from mtd.utils.errors import BadInput
from mtd.utils.home import home
from mtd.utils.limits import AboveLimit
from mtd.utils.messages import plural
from mtd.utils.printable import shortened

BACKBONE = "alexnet-owt-7be5be79.pth"
URL = f"https://download.pytorch.org/models/{BACKBONE}"
LICENCE = "BSD-3-Clause (torchvision)"

NAMES = ("alexnet_features.safetensors", "alexnet_features.pth", BACKBONE)
"""Names of files that are looked for."""

DATA = "MTD_DATA"
"""The environment variable that names a folder of data."""

DIGESTS = {
    "features.0.weight": "773e4bd41d838a8fcd8640b53a6456b165a65cd3f778e5e3b3aaaddafa4426e1",
    "features.0.bias": "1650bc2c61c27bc5c6dd0569b5471133ca074c4c0b5eef1fee85e0a0ba301681",
    "features.3.weight": "1918ec03598fcb19b87db2a9c1c886c4276899082405ae292fc29267beefae4d",
    "features.3.bias": "32454d8c50c6e8c7d158f9161d968fce7ddb8645a017a3120131db575a1e7b8f",
    "features.6.weight": "121de1060ad00f9a856e9a5baf828d99accbe38652100afe81c9215b231b3301",
    "features.6.bias": "d74eb2693a64bcaccc90c26a3acf98c3eda8eadc18d2dffb9e3729a33f31d6fe",
    "features.8.weight": "16adf963706e1a5e40700123791bd333d5b87804b0fd9e31b0cf11dc74e677be",
    "features.8.bias": "a3443d4b64a683d1c2d680afc856a3e787ac29363e8def8f61fec9d740582c41",
    "features.10.weight": "82669e3c4465e69bdbc5700abeb58bd30f55810b30aadacb45a70df5c2a7792b",
    "features.10.bias": "a240db2e8beb55fdaa74d3fb13758a0439618eb39833456574dbc3af9b3779ca",
}
"""By the name of each tensor, the SHA-256 of its values: float32, little-endian, rows first."""

SHAPES = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
"""By the number of each convolution, its output channels, input channels and side."""


class NoBackbone(RuntimeError):
    """The backbone is not available and cannot be downloaded; the message says where to put it."""


def in_zoo() -> Path:
    """Where `mtd zoo get lpips/alexnet` puts the backbone."""
    return home() / "zoo" / "lpips" / "alexnet.pth"


def cached() -> Path:
    """Where torchvision puts the backbone, in torch's cache."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE


def places() -> Iterator[Path]:
    """Where the backbone may be: in `MTD_DATA`, `MTD_HOME`, or torch's cache, in this order.

    In the first two, files of the names `NAMES`, in the folder itself or in its `weights`; in
    `MTD_HOME` also that of the zoo.
    """
    data = os.environ.get(DATA)
    for folder in ([Path(user_folders.home(data))] if data else []) + [home()]:
        for inside in (folder / "weights", folder):
            yield from (inside / name for name in NAMES)
    yield in_zoo()
    yield cached()


def find() -> Path | None:
    """The first of `places` that is a file; None if there is none."""
    return next((path for path in places() if os.path.isfile(path)), None)  # noqa: PTH113


def fetch() -> Path:
    """The file of the backbone, downloaded into the zoo if it is in none of `places`.

    Raises:
        NoBackbone: it cannot be downloaded.
    """
    if path := find():
        return path
    published = Remote(
        "lpips/alexnet",
        URL,
        in_zoo(),
        LICENCE,
        begins=BACKBONE.rpartition("-")[2].removesuffix(".pth"),
        recognize=read,
    )
    try:
        return downloads.fetch(published)
    except BadInput as error:
        raise NoBackbone(f"no LPIPS: {error}, or name it by --lpips-weights") from None


def read(path: str | Path) -> dict[str, Tensor]:
    """The ten tensors of the backbone, by their names in torchvision's AlexNet.

    Args:
        path: of torchvision's file or one of its convolutions alone, `.safetensors` or as
            `torch.save` writes it.

    Raises:
        BadInput: the file is missing, damaged, too large, or holds another network.
    """
    path = Path(path)
    held: Any
    try:
        content = input_files.content(path, limits.CHECKPOINT)
        if path.suffix.lower() == ".safetensors":
            held, _ = tensors_only.read(content, path)
        else:
            held, _ = unpickling.unpickled(content, path)
    except AboveLimit:
        raise
    except BadInput as error:
        raise BadInput(
            f"{error}; expected the backbone of LPIPS: get {URL}, or name another file by "
            "--lpips-weights"
        ) from None
    if differs := difference(held):
        raise BadInput(
            f"{path}: not the backbone of LPIPS, torchvision's AlexNet: {differs}; get {URL}, or a "
            "file of its tensors features.0.weight to features.10.bias"
        )
    return {name: held[name] for name in DIGESTS}


def difference(held: Any) -> str:
    """How the contents of a file differ from the ten tensors; empty if they do not.

    Args:
        held: tensors by name; others than the ten are ignored.
    """
    tensors = held if isinstance(held, Mapping) else {}
    missing = [name for name in DIGESTS if not isinstance(tensors.get(name), Tensor)]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        names = ", ".join(str(name) for name, _ in zip(tensors, range(3), strict=False))
        holds = f" but {shortened(names)}, …" if len(missing) == len(DIGESTS) and names else ""
        return f"it has no tensor {missing[0]}{more}{holds}"
    for name in DIGESTS:
        found, expected = tuple(tensors[name].shape), shape(name)
        if found != expected:
            return f"{name} is {_sides(found)}, expected {_sides(expected)}"
        if tensors[name].dtype != torch.float32:
            kind = str(tensors[name].dtype).removeprefix("torch.")
            return f"{name} is of {kind}, expected float32"
    others = [name for name, digest in DIGESTS.items() if _digest(tensors[name]) != digest]
    if not others:
        return ""
    return f"other values in {plural(len(others), 'tensor')} of {len(DIGESTS)} ({others[0]}, …)"


def shape(name: str) -> tuple[int, ...]:
    """The shape of a tensor by its name.

    >>> shape("features.0.weight"), shape("features.0.bias")
    ((64, 3, 11, 11), (64,))
    """
    _, number, kind = name.split(".")
    out, into, side = SHAPES[int(number)]
    return (out, into, side, side) if kind == "weight" else (out,)


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the backbone, of its tensors by name, whatever file they are of."""
    lines = [f"{name} {_digest(tensors[name])}\n" for name in sorted(tensors)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest(tensor: Tensor) -> str:
    values = tensor.detach().cpu().resolve_neg().contiguous().numpy().astype("<f4", copy=False)
    return hashlib.sha256(values.tobytes()).hexdigest()


def _sides(found: tuple[int, ...]) -> str:
    return " x ".join(map(str, found)) or "one number"
