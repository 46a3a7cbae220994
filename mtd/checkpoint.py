"""Checkpoints: reading them without running code, recognising the network, and saving our own.

Loading is five steps: `read` the file, `unwrap` the state dict from its container, find the
hyper-parameters in keys and shapes (`detect`), build the network, and settle its mask policy.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtd import files, kair, pickles, registry
from mtd.architecture import Architecture, Config
from mtd.denoiser import Denoiser
from mtd.errors import BadInput
from mtd.masking import AttentionSwitch, MaskedInference, MaskPolicy
from mtd.networks.swin_blocks import SwinIRConfig
from mtd.networks.swinir import is_recomputable

BUNDLED = Path(__file__).parent / "checkpoints"
SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")
CONTAINERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
METADATA = "mtd"
UNKNOWN = "nothing recorded, so none is assumed"

StateDict = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        path: where it was read.
        digest: SHA-256 of the file.
        container: key under which the weights lay, "" if bare.
        weights: the state dict, prefixes removed.
        metadata: what our own files say of themselves; empty for others.
    """

    path: Path
    digest: str
    container: str
    weights: StateDict
    metadata: dict[str, Any]


def locate(name: str | Path) -> Path:
    """A path that exists, or else a bundled checkpoint of that name.

    Raises:
        BadInput: neither, or a folder.
    """
    path = Path(name)
    if len(path.name.encode()) > 255:
        raise BadInput(f"{path.name[:40]}…: no such file, the name is too long")
    if path.is_dir():
        raise BadInput(f"{path} is a folder: expected a checkpoint file")
    if path.exists():
        return path
    bundled = BUNDLED / path.name
    if len(path.parts) == 1 and bundled.is_file():
        return bundled
    names = ", ".join(sorted(p.name for p in BUNDLED.glob("*.pth"))) or "none"
    raise BadInput(f"{path}: no such file, and no bundled checkpoint of that name ({names})")


def read(name: str | Path) -> Checkpoint:
    """Read a checkpoint file; nothing in it is executed.

    Raises:
        BadInput: missing, damaged, of an unknown format, or holding code.
    """
    path = locate(name)
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{path}: expected a checkpoint ending in {', '.join(SUFFIXES)}")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from None
    content, metadata = _contents(path)
    container, weights = unwrap(content, path)
    return Checkpoint(path, digest, container, weights, metadata)


def _contents(path: Path) -> tuple[Any, dict[str, Any]]:
    if path.suffix.lower() == ".safetensors":
        from safetensors import safe_open

        try:
            with safe_open(path, framework="pt") as file:
                weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                return weights, _metadata((file.metadata() or {}).get(METADATA), path)
        except Exception as error:
            raise BadInput(f"{path}: damaged or not a safetensors file ({error})") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; the file is refused or read
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        code = pickles.code_in(path)
        if code is not None:
            raise BadInput(
                f"{path}: refused, it holds pickled code ({code}) that loading would run; if you "
                "trust it, save the state dict alone where it was made: "
                "torch.save(model.state_dict(), 'weights.pth')"
            ) from None
        reason = str(error).strip().split("\n")[0][:120]
        told = f" ({reason})" if reason and isinstance(error, RuntimeError | OSError) else ""
        raise BadInput(f"{path}: damaged or not a PyTorch checkpoint{told}") from None
    text = content.get(METADATA) if isinstance(content, Mapping) else None
    return content, _metadata(text, path)


def _metadata(text: Any, path: Path) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        values = json.loads(text)
    except (TypeError, ValueError):
        values = None
    if not isinstance(values, dict):
        raise BadInput(f"{path}: its '{METADATA}' metadata is not a JSON object")
    return values


def unwrap(content: Any, path: Path) -> tuple[str, StateDict]:
    """The container's key ("" if bare), and its state dict without a prefix such as `module.`."""
    if isinstance(content, torch.nn.Module):
        raise BadInput(f"{path}: holds a whole module, expected a state dict")
    container = ""
    if isinstance(content, Mapping):
        for key in CONTAINERS:
            if isinstance(content.get(key), Mapping):
                container, content = key, content[key]
                break
    if not isinstance(content, Mapping):
        raise BadInput(f"{path}: holds a {type(content).__name__}, expected a state dict")
    weights = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if not weights:
        keys = ", ".join(str(k) for k in list(content)[:5]) or "nothing"
        raise BadInput(f"{path}: no weights in it (its keys: {keys})")
    for anchor in (entry.anchor for entry in registry.architectures().values()):
        found = [key for key in weights if key == anchor or key.endswith(f".{anchor}")]
        if len(found) == 1:
            prefix = found[0].removesuffix(anchor)
            inside = {k: v for k, v in weights.items() if k.startswith(prefix)}
            return container, {k.removeprefix(prefix): v for k, v in inside.items()}
    return container, weights


def load(
    path_or_name: str | Path,
    *,
    attention_mask: AttentionSwitch = "auto",
    mask_samples: int = 1,
    seed: int = 0,
    device: str | torch.device = "cpu",
    options: str | Path | None = None,
) -> Denoiser:
    """Load a denoiser, in eval mode, from a file or by the name of a bundled checkpoint.

    The module maps (B, C, H, W), nominally in [0, 1], to the same shape and never clamps. Its
    `source` says where weights and mask policy come from.

    Args:
        path_or_name: `.pth`, `.pt`, `.ckpt` or `.safetensors`; else a name such as `masked.pth`.
        attention_mask: `auto` follows the checkpoint's policy, `on` and `off` override it.
        mask_samples: number of mask draws to average.
        seed: part of every mask's key.
        device: where to put the network.
        options: a KAIR-style JSON that states the mask policy; by default the one beside the file.

    Raises:
        BadInput: the file cannot be used; the message says why.
    """
    checkpoint = read(path_or_name)
    path, weights = checkpoint.path, checkpoint.weights
    known = checkpoint.metadata.get("network")
    try:
        entry, config = described(known) if known else recognised(weights)
        config.check()
        network = entry.build(config)
    except BadInput as error:
        raise BadInput(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except Exception as error:
        what = "its metadata describes" if known else "its shapes are those of"
        raise BadInput(f"{path}: {what} no network known here ({error})") from None
    odd = [name for name, value in weights.items() if value.is_complex()]
    if odd:
        raise BadInput(f"{path}: complex numbers in {odd[0]}; expected real weights")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise BadInput(f"{path}: weights do not fit ({lines[0] if lines else error})") from None
    bad = [name for name, value in network.named_parameters() if not value.isfinite().all()]
    if bad:
        raise BadInput(f"{path}: weights that are not finite in {bad[0]} ({len(bad)} tensors)")
    if not isinstance(config, SwinIRConfig):
        policy, source = MaskPolicy(), f"a {entry.name} has no attention masks"
    else:
        policy, source = mask_policy(checkpoint, options)
    maskable = isinstance(config, SwinIRConfig) and config.embed_kernel == 1
    if attention_mask == "on" and source == UNKNOWN and maskable:
        raise BadInput(
            f"{path}: attention mask 'on', but its ratio is not recorded: give the option file"
        )
    network.inference = MaskedInference(policy, attention_mask, mask_samples, seed)
    network.source = {
        "path": str(path_or_name),
        "sha256": checkpoint.digest,
        "container": checkpoint.container,
        "policy": str(policy),
        "policy_source": source,
        "training": checkpoint.metadata.get("training", {}),
    }
    return network.eval().to(resolve_device(device))


def described(values: Mapping[str, Any]) -> tuple[Architecture, Config]:
    """The network that our own metadata names; before there were several, it was a SwinIR."""
    values = dict(values)
    entry = registry.named(values.pop("architecture", "SwinIR"))
    return entry, entry.config.from_dict(values)


def recognised(weights: StateDict) -> tuple[Architecture, Config]:
    """The network that keys and shapes tell.

    Raises:
        BadInput: none that is known.
    """
    found = registry.detect(weights)
    if found is None:
        shown = ", ".join(list(weights)[:5])
        raise BadInput(
            f"no network known here ({len(weights)} tensors: {shown}, …); known: "
            + ", ".join(registry.architectures())
        )
    return found


def resolve_device(device: str | torch.device) -> torch.device:
    """The device, if this machine has it; one that was asked for is never silently replaced."""
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except Exception as error:
        reason = str(error).strip().split("\n")[0].split(". ")[0]
        raise BadInput(
            f"device {str(device)!r} is not to be had here ({reason}): try --device cpu"
        ) from None
    return found


def mask_policy(checkpoint: Checkpoint, options: str | Path | None) -> tuple[MaskPolicy, str]:
    """The policy and where it was found: an option file given, metadata, a file beside, or none.

    A published file cannot tell a masked network from its baseline; without options the policy is
    'no masks', and the source says so.
    """
    if options is not None:
        return kair.mask_policy(Path(options)), str(options)
    if "mask" in checkpoint.metadata:
        try:
            return MaskPolicy.from_dict(checkpoint.metadata["mask"]), "the checkpoint"
        except BadInput as error:
            raise BadInput(f"{checkpoint.path}: {error}") from None
    beside = checkpoint.path.with_suffix(".json")
    if beside.is_file() and kair.is_option_file(beside):
        return kair.mask_policy(beside), str(beside)
    return MaskPolicy(), UNKNOWN


def save(
    path: str | Path,
    weights: Mapping[str, Tensor],
    *,
    network: Config,
    mask: MaskPolicy,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint of our own, `.pth` or `.safetensors`, in one atomic step.

    Buffers that can be recomputed are left out. Configuration, mask policy and provenance go into
    metadata that is plain JSON, so that reading it is safe.
    """
    path = Path(path)
    tensors = {
        key: value.detach().cpu().clone().contiguous()
        for key, value in weights.items()
        if not is_recomputable(key)
    }
    about = {
        "network": registry.describe(network),
        "mask": mask.to_dict(),
        "training": dict(training or {}),
    }
    text = json.dumps(about, sort_keys=True)
    if path.suffix == ".safetensors":
        from safetensors.torch import save as to_bytes

        files.write(path, to_bytes(tensors, metadata={METADATA: text}))
    else:
        files.write(path, torch_bytes({"params": tensors, METADATA: text}))


def torch_bytes(content: Any) -> bytes:
    """What `torch.save` writes; it depends on the content only, not on the name of a file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
