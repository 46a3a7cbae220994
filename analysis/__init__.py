"""Looking inside denoisers: activations, CKA, SRGA, benchmarks of generalization, figures.

Each analysis is a package with a function, such as `analysis.cka.compare`, and a command,
`python -m analysis.cka`; `python -m analysis` lists them.
"""

import os
import sys

# by os alone: any other module might be one of the working folder
try:
    _started_in = os.getcwd()  # noqa: PTH109
except OSError:  # it was removed
    _started_in = ""
if (
    sys.argv[:1] == ["-m"]
    and sys.path[:1] == [_started_in]
    and sys.path[:1] != [os.path.dirname(__path__[0])]  # noqa: PTH120
):
    del sys.path[0]  # which `python -m` adds: files of the working folder shadow no library

from typing import TYPE_CHECKING

from analysis.commands.registry import BUILT_IN
from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis import (
        attribution,
        brightness,
        card,
        causal,
        cka,
        compare,
        compare_cards,
        curves,
        degradation,
        distributions,
        error,
        generalization,
        linear,
        sensitivity,
        srga,
        stitch,
    )
    from analysis.commands.analysis import Analysis
    from analysis.commands.registry import analyses
    from analysis.commands.run_lookup import check_parameters, open_run
    from analysis.commands.settings import Settings
    from analysis.engine.hooks import Activations
    from analysis.engine.observer import Observer

__all__ = [
    "Activations",
    "Analysis",
    "Observer",
    "Settings",
    "analyses",
    "attribution",
    "brightness",
    "card",
    "causal",
    "check_parameters",
    "cka",
    "compare",
    "compare_cards",
    "curves",
    "degradation",
    "distributions",
    "error",
    "generalization",
    "linear",
    "open_run",
    "sensitivity",
    "srga",
    "stitch",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        **{name: f"analysis.{name}" for name in (*BUILT_IN, "card", "compare_cards")},
        "Activations": "analysis.engine.hooks",
        "Analysis": "analysis.commands.analysis",
        "Observer": "analysis.engine.observer",
        "Settings": "analysis.commands.settings",
        "analyses": "analysis.commands.registry",
        "check_parameters": "analysis.commands.run_lookup",
        "open_run": "analysis.commands.run_lookup",
    },
)
