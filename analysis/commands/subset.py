"""Subsets: the part of the models, noises and crops that one analysis of several looks at."""

from __future__ import annotations

import argparse
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.commands import options

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch


@dataclass(frozen=True)
class Subset:
    """What one section looks at: its models, noises and crops, and the batches that hold them."""

    asked: RunInputs
    groups: list[Batch]


def work(name: str, args: argparse.Namespace, share: Subset) -> AnalysisJob:
    """The analysis of a section, by its command's own options; those that are shared as given."""
    module = importlib.import_module(f"analysis.{name}.command")
    given = options.like(args, module.parser())
    if name == "cka":
        planned: AnalysisJob = module.plan(given, share.asked, share.groups)[1]
    else:
        planned = module.plan(given, share.asked)[1]
    return planned
