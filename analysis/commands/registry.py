"""The analyses that are known: those of this package, and those that others add.

Another package adds one by an entry point of the group `mtd.analyses` that names an `Analysis`:

    [project.entry-points."mtd.analyses"]
    sharpness = "mypackage.sharpness:ANALYSIS"

Every command, the report, `--verify` and `python -m analysis` then know it by its name.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from analysis.commands.analysis import Analysis
from mtd.utils import plugins
from mtd.utils.errors import BadInput, one_of

GROUP = "mtd.analyses"
"""Entry points of other packages' analyses."""

BUILT_IN = (
    "error",
    "generalization",
    "cka",
    "stitch",
    "srga",
    "distributions",
    "degradation",
    "sensitivity",
    "causal",
    "linear",
    "attribution",
    "brightness",
    "compare",
    "curves",
)
"""In the order in which a report shows them."""

MODES = {
    "noisy_pictures": ("analysis.generalization.noisy.command", "generalization MODEL --noisy"),
    "srga_matched_psnr": ("analysis.srga.matched_psnr.command", "srga --matched-psnr"),
    "causal_effects": ("analysis.attribution.effects.command", "attribution --map cem"),
    "faig": ("analysis.causal.faig.command", "causal.faig"),
    "cka_over_training": ("analysis.cka.over_training.command", "cka --over-training"),
}
"""Further kinds of runs, by name in manifests: the module of their record, and the command."""


@cache
def analyses() -> dict[str, Analysis]:
    """Every analysis by its name, built-in ones first.

    Raises:
        BadInput: an entry point that cannot be loaded, or takes a name that is in use.

    Example:
        >>> analyses()["cka"].title, analyses()["srga"].settings().reference
        ('CKA', 'gaussian:15')
    """
    return {name: built_in(name) for name in BUILT_IN} | added()


@cache
def added() -> dict[str, Analysis]:
    """The analyses of other packages by name; those of this package are not imported for it.

    Raises:
        BadInput: see `analyses`.
    """
    known: dict[str, Analysis] = {}
    for entry in plugins.of_group(GROUP):
        owner = entry.dist.name if entry.dist else "a package"
        try:
            record = entry.load()
        except Exception as error:
            raise BadInput(
                f"analysis {entry.name} of {owner}: cannot be loaded ({error})"
            ) from None
        if not isinstance(record, Analysis):
            kind = type(record).__name__
            raise BadInput(f"analysis {entry.name} of {owner}: a {kind}; expected an Analysis")
        if record.name != entry.name:
            raise BadInput(f"analysis {entry.name} of {owner}: its record is named {record.name}")
        if record.name in (*BUILT_IN, *known):
            raise BadInput(f"analysis {record.name} of {owner}: the name is taken")
        known[record.name] = record
    return known


def with_modes() -> dict[str, Analysis]:
    """Every analysis by its name, each followed by its further kinds of runs.

    >>> names = list(with_modes())
    >>> names[names.index("attribution") + 1]
    'causal_effects'
    """
    found: dict[str, Analysis] = {}
    for name, record in analyses().items():
        modes = [mode for mode, (_, command) in MODES.items() if command.split()[0] == name]
        found |= {name: record, **{mode: analysis(mode) for mode in modes}}
    return found


def built_in(name: str) -> Analysis:
    """One of this package's analyses."""
    record: Analysis = import_module(f"analysis.{name}.command").ANALYSIS
    return record


def analysis(name: str) -> Analysis:
    """An analysis by its name.

    Raises:
        BadInput: no analysis has that name.
    """
    one_of("analysis", name, [*analyses(), *MODES])
    if name in MODES:
        mode: Analysis = import_module(MODES[name][0]).ANALYSIS
        return mode
    return analyses()[name]


def command_of(name: str) -> str:
    """The command that runs an analysis, without `python -m`.

    >>> command_of("cka"), command_of("noisy_pictures")
    ('analysis.cka', 'analysis.generalization MODEL --noisy')
    """
    return f"analysis.{MODES[name][1] if name in MODES else name}"
