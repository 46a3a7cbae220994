"""Checkpoint files: reading them without running code, and writing them.

`mtd.loading.load.load` turns one into a network. Every member of a zip archive (`.pth` since
PyTorch 1.6) is checked against its CRC-32; files that `save` wrote also against SHA-256 digests of
weights and metadata. Other `.safetensors` files and the older `.pth` format have neither: a changed
byte in a weight is not noticed unless the weight becomes infinite or NaN.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtd.loading import weight_sets
from mtd.loading.locations import check_suffix, locate
from mtd.loading.weight_sets import StateDict, WeightSet
from mtd.masking import MaskPolicy
from mtd.networks import registry
from mtd.networks.config import Config
from mtd.networks.swinir import is_recomputable
from mtd.networks.weights import weights_digest
from mtd.tensor_files import stand_ins, tensors_only, unpickling
from mtd.tensor_files.budget import LEAST
from mtd.tensor_files.stand_ins import LONGEST, Unread
from mtd.tensor_files.tensor_unpickler import LONGEST_NAME
from mtd.utils import atomic_write, input_files, limits, output
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

MOST_DOTS = 32
"""Dots in the name of a tensor; there are parts of a file under each of them."""

METADATA = "mtd"
WEIGHTS = "weights_sha256"
ABOUT = "metadata_sha256"


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint file.

    Attributes:
        path: of the file.
        digest: SHA-256 of the file.
        sets: every mapping that holds tensors.
        metadata: as `save` writes it; empty for other files.
        left_out: classes whose objects were not read, and states of optimizers.
        unread: places of the objects among them that held weights, and their classes.
        warning: what the file holds beside tensors, for its user; empty if nothing.
    """

    path: Path
    digest: str
    sets: list[WeightSet]
    metadata: dict[str, Any]
    left_out: list[str]
    unread: dict[str, str] = field(default_factory=dict)
    warning: str = ""

    @property
    def own(self) -> WeightSet:
        """The weights that `save` wrote."""
        ours = [one for one in self.sets if one.place in ("params", "")]
        return (ours or self.sets)[0]


def read(name: str | Path, suffix: str = "") -> Checkpoint:
    """Read a checkpoint file; nothing in it is executed.

    Args:
        name: see `mtd.loading.locations.locate`.
        suffix: that says the format; by default that of the file.

    Raises:
        BadInput: a missing or damaged file, an unknown format, or one without weights.

    >>> checkpoint = read("masked.pth")
    >>> [(one.place, len(one.tensors)) for one in checkpoint.sets]
    [('params', 130)]
    """
    path = locate(name)
    suffix = check_suffix(path, suffix)
    whole = input_files.content(path, limits.CHECKPOINT)
    digest = hashlib.sha256(whole).hexdigest()
    content, metadata, left_out = _contents(whole, path, suffix)
    warning = stand_ins.warning(left_out)
    sets = _weight_sets(content, path, f"; {warning}" if warning else "")
    _check_sizes(sets, len(whole), path)
    named = [str(one) for one in left_out]
    named += [f"{place}, of an optimizer" for place in weight_sets.optimizers(content)]
    unread = weight_sets.unread(content)
    checkpoint = Checkpoint(path, digest, sets, metadata, named, unread, warning)
    if WEIGHTS in metadata and metadata[WEIGHTS] != _digest_or_none(checkpoint.own.tensors):
        raise BadInput(f"{path}: damaged, its weights are not what was saved (SHA-256)")
    if ABOUT in metadata and metadata[ABOUT] != about_digest(metadata):
        raise BadInput(f"{path}: damaged, its metadata is not what was saved (SHA-256)")
    return checkpoint


def _digest_or_none(weights: StateDict) -> str | None:
    try:
        return weights_digest(weights)
    except Exception:  # sparse or quantized tensors, which `save` never writes
        return None


def about_digest(metadata: Mapping[str, Any]) -> str:
    """SHA-256 of the metadata without this digest itself."""
    others = {key: value for key, value in metadata.items() if key != ABOUT}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def _check_sizes(sets: Sequence[WeightSet], size: int, path: Path) -> None:
    """Check that tensors, which may repeat a part of a file, have a length in keeping with it.

    Raises:
        BadInput: all together are much larger than the file, there are very many, or one has a name
            that no network has.
    """
    values = {id(value): value for one in sets for value in one.tensors.values()}
    limits.TENSORS.check(len(values), f"{path}")
    for one in sets:
        for name in one.tensors:
            if len(name) > LONGEST_NAME or name.count(".") > MOST_DOTS:
                shown = f"{name[:LONGEST]}…"
                raise BadInput(
                    f"{path}: a name of {len(name)} characters, {shown}; expected at most "
                    f"{LONGEST_NAME}, and {MOST_DOTS} dots"
                )
    total = sum(value.numel() * value.itemsize for value in values.values())
    limits.CHECKPOINT_RATIO.check(total / max(size, LEAST), f"{path}: tensors of {total} bytes")


def _contents(
    whole: bytes, path: Path, suffix: str
) -> tuple[Any, dict[str, Any], unpickling.LeftOut]:
    """What a file holds, our metadata, and the classes whose objects were not read."""
    if suffix == ".safetensors":
        weights, texts = tensors_only.read(whole, path)
        own = [text for key, text in texts.items() if key == METADATA or WEIGHTS in text]
        return weights, _metadata(own[0] if own else None, path), {}
    content, left_out = unpickling.unpickled(whole, path)
    text = content.get(METADATA) if isinstance(content, Mapping) else None
    return content, _metadata(text, path), left_out


def _metadata(text: Any, path: Path) -> dict[str, Any]:
    if text is None:
        return {}
    about = f"{path}: its '{METADATA}' metadata"
    values = input_files.parsed_json(text, about) if isinstance(text, str) else None
    if not isinstance(values, dict):
        raise BadInput(f"{about} is not a JSON object")
    return values


def _weight_sets(content: Any, path: Path, beside: str) -> list[WeightSet]:
    """Every mapping of a file's contents that holds tensors.

    Raises:
        BadInput: there is none, as where an object of a class that is not read holds the weights.
    """
    sets = weight_sets.find(content)
    if any(not one.listed for one in sets):
        return sets
    unread = weight_sets.unread({"": content})
    if sets and not unread:
        return sets
    arrays = [place for place, kind in unread.items() if "NumPy" in kind]
    if arrays:
        raise BadInput(
            f"{path}: its weights are {plural(len(arrays), 'array')} of NumPy ({arrays[0]}, …), "
            "expected tensors: save {name: torch.from_numpy(array), …} with torch.save"
        )
    if unread:
        place, kind = next(iter(unread.items()))
        at = f" in {place}" if place else ""
        if kind in stand_ins.TENSORS.values():
            raise BadInput(f"{path}: its weights are not read ({kind}{at}), expected dense tensors")
        raise BadInput(f"{path}: its weights are not read ({kind}{at}); {unpickling.ALONE}")
    if not isinstance(content, Mapping):
        kind = content.kind if isinstance(content, Unread) else f"a {type(content).__name__}"
        raise BadInput(f"{path}: holds {kind}, expected a state dict{beside}")
    keys = " ".join((", ".join(str(k) for k in list(content)[:5]) or "nothing").split())[:200]
    raise BadInput(f"{path}: no weights in it (its keys: {keys}){beside}")


def save(
    path: str | Path,
    weights: Mapping[str, Tensor],
    *,
    network: Config,
    mask: MaskPolicy,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint, `.pth` or `.safetensors`, in one atomic step.

    Buffers that can be recomputed are omitted. Hyper-parameters, mask policy and provenance are
    metadata in plain JSON, which is safe to read.

    Args:
        path: of the file.
        weights: a state dict.
        network: hyper-parameters of its architecture.
        mask: what is masked in training and at inference.
        training: provenance, plain values.

    Raises:
        BadInput: the path cannot be written.

    >>> import tempfile
    >>> from mtd.loading.load import load
    >>> from mtd.networks.dncnn import DnCNN, DnCNNConfig
    >>> network = DnCNN(DnCNNConfig(features=8, depth=3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.safetensors")
    ...     save(path, network.state_dict(), network=network.config, mask=MaskPolicy())
    ...     load(path).config == network.config
    True
    """
    path = Path(path)
    plain = {
        key: value.detach().cpu().clone().contiguous()
        for key, value in weights.items()
        if not is_recomputable(key)
    }
    given = {
        WEIGHTS: weights_digest(plain),
        "network": registry.describe(network),
        "mask": mask.to_dict(),
        "training": dict(training or {}),
    }
    about: dict[str, Any] = output.plain(given)  # JSON for every reader
    about[ABOUT] = about_digest(about)
    text = json.dumps(about, sort_keys=True, allow_nan=False)
    if path.suffix == ".safetensors":
        from safetensors.torch import save as to_bytes

        atomic_write.write(path, to_bytes(plain, metadata={METADATA: text}))
    else:
        atomic_write.write(path, torch_bytes({"params": plain, METADATA: text}))


def torch_bytes(content: Any) -> bytes:
    """The bytes that `torch.save` writes, independent of the name of a file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
