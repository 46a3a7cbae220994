"""The generalization benchmark: image quality over noise types and levels.

`benchmark` runs it on any models, `noisy_pictures` what can be done without clean images;
`python -m analysis.generalization` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.generalization.command import benchmark
    from analysis.generalization.noisy.command import noisy_pictures
    from analysis.generalization.noisy.result import NoisyResult
    from analysis.generalization.result import GeneralizationResult
    from analysis.generalization.suite_sets import suites

__all__ = ["GeneralizationResult", "NoisyResult", "benchmark", "noisy_pictures", "suites"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "GeneralizationResult": "analysis.generalization.result",
        "NoisyResult": "analysis.generalization.noisy.result",
        "benchmark": "analysis.generalization.command",
        "noisy_pictures": "analysis.generalization.noisy.command",
        "suites": "analysis.generalization.suite_sets",
    },
)
