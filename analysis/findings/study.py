"""Names of the runs, tables and figures of a study."""

from __future__ import annotations

NAME = "findings"

CLAIMS, CELLS, SNAPSHOTS, ABLATION = "claims", "cells", "snapshots", "ablations"

TABLES = {
    "levels": ("levels", "noises"),
    "monte_carlo": ("monte_carlo", "noises"),
    "brightness": ("brightness", "brightness"),
    "brightness_images": ("brightness", "images"),
    "completion_80": ("completion_80", "noises"),
    "completion_90": ("completion_90", "noises"),
    "tissue": ("tissue", "noises"),
    "tissue_hidden": ("tissue_hidden", "noises"),
    "curves": ("curves", "curves"),
    "summary": ("curves", "summary"),
    "last_quarter": ("pair/cka", "last_quarter"),
    "srga": ("pair/srga", "srga"),
    "distributions": ("pair/distributions", "distributions"),
}
"""Tables that the page copies from runs, by name: run and table."""

DERIVED = {CELLS: (ABLATION,), SNAPSHOTS: ("snapshots_visible", "snapshots_hidden")}
"""Tables that are computed from the scores of runs, with these runs."""

PICTURES = {
    "figure1": ("pair/generalization", "strip_mixture_4"),
    "figure2": ("tissue", "strip_gaussian_15"),
    "figure2_hidden": ("tissue_hidden", "strip_gaussian_15"),
    "figure3_80": ("completion_80", "strip_gaussian_0"),
    "figure3_90": ("completion_90", "strip_gaussian_0"),
    "figure5": ("brightness", "brightness"),
    "figure9": ("monte_carlo", "strip_monte_carlo_16"),
    "figure12_models": ("pair/cka", "cross_model"),
    "figure12_noises": ("pair/cka", "depth"),
    "figure13": ("curves", "curves"),
    "figure14": ("pair/srga", "srga"),
    "figure15": ("pair/distributions", "distributions"),
}
"""Figures that the page copies from runs, by name: run and figure."""
