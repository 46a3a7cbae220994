"""The protocol of a run: that of its suite, changed by what settings say, and how they differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.commands.inputs import canonical
from analysis.engine.protocol import PROTOCOLS, Protocol
from mtd.data.recorded_noise import Recorded
from mtd.noise.drawing import Drawing
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.generalization.noise_suite import Suite
    from analysis.generalization.settings import GeneralizationSettings
    from mtd.data.crops import Crop


def protocol_of(suite: Suite | None, settings: GeneralizationSettings) -> Protocol:
    """How a run draws noise and scores outputs.

    Args:
        suite: its suite, if it has one.
        settings: whose `protocol`, `channel` and `quantize` come before what the suite says.
    """
    protocol = suite.protocol if suite else Protocol()
    given = PROTOCOLS[settings.protocol] if settings.protocol else protocol
    if given.border != protocol.border:
        protocol = replace(protocol, name=given.name, border=given.border)
    if settings.channel is not None:
        protocol = replace(protocol, channel=settings.channel)
    if not settings.quantize:
        policy = protocol.drawing.seed_policy
        protocol = replace(protocol, drawing=Drawing(policy, clip=False, quantize=False))
    return protocol


def deviations(suite: Suite, settings: GeneralizationSettings, protocol: Protocol) -> list[str]:
    """How settings that are given contradict a suite, a few words each; none if they do not.

    Args:
        suite: of the run.
        settings: as given, before the suite completes them.
        protocol: of the run.
    """
    own, used = suite.protocol.entry(), protocol.entry()
    changed = [key for key in own if own[key] != used[key]]
    found = [f"{key} = {toml(used[key])} instead of {toml(own[key])}" for key in changed]
    known = {canonical(spec) for spec in suite.noises}
    more = [spec for spec in settings.noises or () if canonical(spec) not in known]
    found += [f"with noise {', '.join(more)}"] if more else []
    crop = suite.crop if settings.crop is None else settings.crop
    limit = suite.limit if settings.limit is None else settings.limit
    if (crop, limit) != (suite.crop, suite.limit):
        found.append(f"{sampled(crop, limit)} instead of {sampled(suite.crop, suite.limit)}")
    if suite.crop is not None and settings.crop_rule != "grid":
        found.append(f"crops placed by the rule {settings.crop_rule} instead of grid")
    if settings.seed:
        found.append(f"seed {settings.seed} instead of 0")
    if settings.input_mask:
        found.append(f"{100 * settings.input_mask:g}% of the input masked instead of nothing")
    return found


def check_border(protocol: Protocol, crops: Iterable[Crop]) -> None:
    """Check that something is left of every image without the border of a protocol.

    Raises:
        BadInput: nothing is left of one.
    """
    border = protocol.border
    for crop in crops if border else ():
        height, width = crop.pixels.shape[:2]
        if min(height, width) <= 2 * border:
            raise BadInput(
                f"protocol {protocol.name}: without {plural(border, 'pixel')} at every side "
                f"nothing is left of {crop.image}, {height} x {width}; give larger crops or images"
            )


def sampled(crop: int | None, limit: int | None) -> str:
    """What is measured, in words.

    >>> sampled(32, 64), sampled(32, None), sampled(None, 1), sampled(None, None)
    ('64 crops of 32 x 32', 'crops of 32 x 32', '1 whole image', 'all whole images')
    """
    what = "whole image" if crop is None else "crop"
    of = "" if crop is None else f" of {crop} x {crop}"
    if limit is None:
        return f"{'all ' if crop is None else ''}{what}s{of}"
    return f"{plural(limit, what)}{of}"


def toml(value: object) -> str:
    """A value as a suite's file has it.

    >>> toml(True), toml(["poisson"]), toml(4), toml("rgb")
    ('true', '["poisson"]', '4', '"rgb"')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def as_stated(
    inputs: RunInputs, settings: GeneralizationSettings, suite: Suite | None
) -> tuple[RunInputs, Protocol, Suite | None, list[str]]:
    """Inputs whose noise is drawn by the protocol of the run.

    Args:
        inputs: of the run.
        settings: as given.
        suite: of the run.

    Returns:
        The inputs; the protocol; the suite with those of its noises that are drawn; how the run
        differs from it.

    Raises:
        BadInput: a noise that cannot be drawn so, or a protocol that is of color.
    """
    protocol = protocol_of(suite, settings)
    differs = []
    if suite:
        differs = deviations(suite, settings, protocol)
        left_out = [spec for spec in map(canonical, suite.noises) if spec not in inputs.specs]
        differs += [f"without noise {', '.join(left_out)}"] if left_out else []
        suite = suite.of(inputs.specs)
    protocol = protocol.of_channels(inputs.channels)
    return drawn_by(protocol, inputs), protocol, suite, differs


def drawn_by(protocol: Protocol, inputs: RunInputs) -> RunInputs:
    """Inputs whose noise is drawn and stored as a protocol says.

    Raises:
        BadInput: a noise that cannot be drawn so.
    """
    protocol.drawing.check(n for n in inputs.noises if not isinstance(n, Recorded))
    return replace(inputs, forward=replace(inputs.forward, drawing=protocol.drawing))
