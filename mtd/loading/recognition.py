"""Which network the weights of a file belong to: by metadata, keys and shapes, or a factory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from mtd.loading import choice, remainder
from mtd.loading.averages import average_of
from mtd.loading.checkpoint_file import Checkpoint
from mtd.loading.choice import Claim, Recognized
from mtd.loading.nearest import unknown
from mtd.loading.origin import origin
from mtd.loading.own_module import OwnModule, check_real, fill
from mtd.loading.tensor_names import (
    is_average,
    is_training,
    of_training,
)
from mtd.loading.weight_sets import Part, WeightSet, joined, parts
from mtd.networks import external, registry, spandrel_adapter
from mtd.networks.architecture import Architecture
from mtd.networks.config import Config, Weights
from mtd.networks.external import ExternalNetwork
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.loading.options import LoadOptions

Claimer = Callable[[WeightSet, Part], Claim | None]
METADATA = "its own metadata"
MOST_NETWORKS = 64
"""Networks and copies of one that a file may hold."""

FEWEST, TRIES = 4, 50
"""Tensors that a network of spandrel has at least, and parts of a file that may be one."""

STRIPPED = ("module.", "netG.")
"""Prefixes that spandrel removes by itself."""


def recognize(checkpoint: Checkpoint, options: LoadOptions) -> Recognized:
    """The network of a checkpoint with its weights, and how it was recognized, for manifests.

    Raises:
        BadInput: an unknown architecture, several networks, or weights that do not fit.
    """
    key = options.weights or ""
    if options.factory:
        module, about = external.make(options.factory, options.arguments)
        made = OwnModule(module, options.sigma is not None)
        network, found = _select(checkpoint, [made.claim], key, made.most_similar)
        return network, {**found, **about}
    if "network" in checkpoint.metadata and key in ("", checkpoint.own.place):
        return _described(checkpoint)
    return _select(checkpoint, [_built_in, _of_spandrel], key, _none)


def _described(checkpoint: Checkpoint) -> Recognized:
    """The network that a file of ours describes, with its weights."""
    own = checkpoint.own
    try:
        entry, config = registry.described(checkpoint.metadata["network"])
        fits(entry, config, own.tensors)
        network = entry.build(config)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"its metadata describes no network known here ({_line(error)})") from None
    fill(network, own.tensors)
    about = {"container": own.place, "architecture": entry.name, "recognised": METADATA}
    return network, about


def _select(
    checkpoint: Checkpoint,
    claimers: Sequence[Claimer],
    key: str,
    fallback: Callable[[Sequence[WeightSet]], Claim],
) -> Recognized:
    """The network of the weights that the claimers recognize, and where these are.

    Args:
        checkpoint: the file.
        claimers: in the order in which they are tried.
        key: of `--weights`, or empty.
        fallback: what is tried of the sets that the key names if nothing is recognized.
    """
    sets = checkpoint.sets
    chosen_sets = choice.within(sets, key)
    claims, errors = _claims(sets, claimers)
    for others in () if claims or errors else _other_forms(sets, own=fallback is not _none):
        if _claims(others, claimers)[0]:
            return _select(replace(checkpoint, sets=others), claimers, key, fallback)
    places = {one.place for one in chosen_sets}
    mine = [error for part, error in errors if part.place in places]
    if mine and not (key and claims):
        raise mine[0]
    raw = choice.choose(claims, key) if claims else fallback(chosen_sets)
    network, about = raw.make(raw.part)
    module = network.whole if isinstance(network, ExternalNetwork) else network
    chosen = average_of(raw, module, sets, claims, key)
    if chosen is not raw:
        network, about = chosen.make(chosen.part)
    elif key and claims and not choice.inside(raw.part, key):
        fallback(chosen_sets)
        raise BadInput(f"--weights {key}: no weights of the {raw.name} in {raw.address}")
    if not key:
        _check_read(chosen, checkpoint)
    remainder.check(raw, remainder.remainder(raw, claims, chosen_sets))
    rest = remainder.remainder(raw, claims, sets)
    return network, {**about, **origin(chosen, module, sets, key, claims, rest)}


def _check_read(chosen: Claim, checkpoint: Checkpoint) -> None:
    """Check that no other weights are in objects that were not read, such as a whole module.

    Raises:
        BadInput: some are, and may be the network's.
    """
    for place, kind in checkpoint.unread.items():
        raise BadInput(
            f"holds weights in {place} that are not read ({kind}), and a {chosen.name} in "
            f"{chosen.address}, which may be another network: --weights {chosen.address} takes the "
            "latter; for the former, save its state dict where it was made"
        )


def _other_forms(sets: Sequence[WeightSet], own: bool) -> Iterator[list[WeightSet]]:
    """The sets without the names of parallel parts; for a user's own module, as one set."""
    plain = [one.without_parallel() for one in sets]
    if any(
        one.tensors.keys() != other.tensors.keys() for one, other in zip(plain, sets, strict=True)
    ):
        yield plain
    named = [one for one in sets if not one.listed]
    if own and len(named) > 1:
        whole = {joined(one.place, n): v for one in named for n, v in one.tensors.items()}
        yield [WeightSet("", whole)]


def _none(sets: Sequence[WeightSet]) -> Claim:
    raise BadInput(unknown(sets))


def _claims(
    sets: Sequence[WeightSet], claimers: Sequence[Claimer]
) -> tuple[list[Claim], list[tuple[Part, BadInput]]]:
    """All parts that are recognized, outermost first, and what cannot be used and why."""
    claims, errors = list[Claim](), list[tuple[Part, BadInput]]()
    tried = 0
    for one in sets:
        used, failed = set[str](), list[str]()
        for part in parts(one) if not one.listed else ():
            names = {part.prefix + name for name in part.weights}
            if names <= used or any(part.prefix.startswith(prefix) for prefix in failed):
                continue
            tried += len(part.weights) >= FEWEST
            use = [each for each in claimers if each is not _of_spandrel or tried <= TRIES]
            try:
                found = next(filter(None, (claimer(one, part) for claimer in use)), None)
            except BadInput as error:
                failed.append(part.prefix)
                if not of_training(part.address):
                    errors.append((part, error))
                continue
            if len(claims) == MOST_NETWORKS:
                raise BadInput(f"holds more than {MOST_NETWORKS} networks; expected one")
            if found is not None:
                used |= {found.part.prefix + name for name in found.part.weights}
                claims.append(found)
    return claims, errors


def _built_in(_: WeightSet, part: Part) -> Claim | None:
    """A part as the weights of an architecture of the registry."""
    part = part.without_training()
    anchors = {entry.anchor for entry in registry.architectures().values()}
    if not part.weights or (part.prefix and anchors.isdisjoint(part.weights)):
        return None
    try:
        detected = registry.detect(part.weights)
        if detected is None:
            return None
        registry.check(detected[1], detected[0])
        if empty := [name for name, value in part.weights.items() if not value.numel()]:
            raise BadInput(f"{empty[0]} has no numbers: it is of no network known here")
        not_embedded(detected[1], part.weights)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"its shapes are those of no network known here ({_line(error)})") from None
    entry, config = detected
    wrong = misfit(entry, config, part)

    def make(chosen: Part) -> Recognized:
        found = wrong if chosen is part else misfit(entry, config, chosen)
        if found is not None:  # before memory for a network is allocated that its shapes suggest
            raise found
        try:
            network = entry.build(config)
        except Exception as error:
            reason = _line(error)
            raise BadInput(f"its shapes are those of no network known here ({reason})") from None
        fill(network, chosen.weights, chosen.counts)
        about = {"architecture": entry.name, "recognised": "keys and shapes"}
        return network, {**about, "assumed": entry.assumed(part.weights)}

    return Claim(entry.name, part, make, wrong is None)


def misfit(entry: Architecture, config: Config, part: Part) -> BadInput | None:
    """Why a network has not the tensors of a part, or lacks some of them; found without memory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's about counts that a file does not have
            fill(registry.outline(config, entry), meta(part.weights), meta(part.counts))
    except BadInput as error:
        return error
    except Exception:  # a network that cannot be built on the meta device
        return None
    return None


def _of_spandrel(one: WeightSet, part: Part) -> Claim | None:
    """A part as the weights of an architecture of spandrel, if nothing else is left over."""
    alone = part.without_training()
    for form in [part] if alone.weights.keys() == part.weights.keys() else [part, alone]:
        stripped = any(all(n.startswith(prefix) for n in form.weights) for prefix in STRIPPED)
        if stripped or len(form.weights) < FEWEST or not _is_all(one, form):
            continue
        found = spandrel_adapter.recognize(form.weights)
        if found is not None:
            return Claim(found[0].config.kind, form, _remaking(form, *found))
    return None


def _remaking(part: Part, network: ExternalNetwork, how: str) -> Callable[[Part], Recognized]:
    def make(chosen: Part) -> Recognized:
        made = network
        if chosen is not part:
            found = spandrel_adapter.recognize(chosen.weights)
            if found is None:
                raise BadInput(f"weights in {chosen.address} do not fit the {network.config.kind}")
            made = found[0]
        check_real(chosen.weights)
        made.whole.load_state_dict(chosen.counts, strict=False)
        return made, {"architecture": made.config.kind, "recognised": how}

    return make


def _is_all(one: WeightSet, part: Part) -> bool:
    """Whether a set holds nothing else but copies of a part, and what belongs to training."""
    ahead, shapes = part.prefix.split(".")[:-1], part.shapes
    for name, branch, inside in remainder.beside(one, part):
        if is_average(branch) or (
            is_training(branch, inside=True) if inside else of_training(branch)
        ):
            continue
        pieces = name.split(".")
        there, own = pieces[: len(ahead)], ".".join(pieces[len(ahead) :])
        others = sum(mine != theirs for mine, theirs in zip(ahead, there, strict=False))
        if others != 1 or shapes.get(own) != tuple(one.tensors[name].shape):
            return False
    return True


def fits(entry: Architecture, config: Config, weights: Weights) -> None:
    """Check that weights have the shapes that the metadata describes, before allocating memory.

    Raises:
        BadInput: they do not.
    """
    registry.check(config, entry)
    sizes = [v for value in vars(config).values() for v in _numbers(value)]
    if max(sizes, default=0) > max(255, sum(value.numel() for value in weights.values())):
        raise BadInput(f"its metadata describes a network larger than its weights ({max(sizes)})")
    try:
        network = registry.outline(config, entry)
    except BadInput:
        raise
    except Exception:  # a network that cannot be built on the meta device
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        external.fill(network, meta(weights))


def meta(weights: Weights) -> dict[str, torch.Tensor]:
    """Shapes and types of weights, without memory."""
    return {name: value.to("meta") for name, value in weights.items()}


def _numbers(value: Any) -> list[float]:
    values = value if isinstance(value, tuple) else (value,)
    return [v for v in values if isinstance(v, int | float)]


def not_embedded(config: Config, weights: Weights) -> None:
    """Check that a stock SwinIR is not the paper's variant with a zero-padded embedding.

    Raises:
        BadInput: only the center of its embedding kernel is not 0.
    """
    if isinstance(config, SwinIRConfig) and config.embed_kernel > 1:
        kernel, side = weights["conv_first.weight"], config.embed_kernel
        if kernel.shape[-2:] != (side, side):  # which does not fit, and may be very long
            return
        outside = torch.ones(side, side, dtype=torch.bool)
        outside[side // 2, side // 2] = False
        if kernel.any() and not kernel[..., outside].any():
            raise BadInput(
                f"a SwinIR with an embedding of 1 x 1 enlarged to {side} x {side}: it would be run "
                "as a stock one, which adds its input; give the original weights"
            )


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__
