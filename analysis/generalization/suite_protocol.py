"""The protocol of a run: that of its suite, changed by what settings say, and how they differ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.commands.inputs import canonical
from analysis.engine.protocol import PROTOCOLS, Protocol
from mtd.noise.drawing import Drawing

if TYPE_CHECKING:
    from analysis.generalization.noise_suite import Suite
    from analysis.generalization.settings import GeneralizationSettings


def protocol_of(suite: Suite | None, settings: GeneralizationSettings) -> Protocol:
    """How a run draws noise and scores outputs.

    Args:
        suite: its suite, if it has one.
        settings: whose `protocol`, `channel` and `quantize` come before what the suite says.
    """
    protocol = suite.protocol if suite else Protocol()
    if settings.protocol is not None:
        border = PROTOCOLS[settings.protocol].border
        protocol = replace(protocol, name=settings.protocol, border=border)
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
    found = [f"{key} = {toml(used[key])} for {toml(own[key])}" for key in changed]
    known = {canonical(spec) for spec in suite.noises}
    more = [spec for spec in settings.noises or () if canonical(spec) not in known]
    found += [f"with noise {', '.join(more)}"] if more else []
    for key in ("crop", "limit"):
        value, of_suite = getattr(settings, key), getattr(suite, key)
        if value is not None and value != of_suite:
            found.append(f"{key} {value} for {'none' if of_suite is None else of_suite}")
    if suite.crop is not None and settings.crop_rule != "grid":
        found.append(f"crop_rule {settings.crop_rule} for grid")
    if settings.seed:
        found.append(f"seed {settings.seed} for 0")
    if settings.input_mask:
        found.append(f"input_mask {settings.input_mask:g} for none")
    return found


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
