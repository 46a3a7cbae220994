"""The names of the runs, tables and figures of a study."""

from __future__ import annotations

NAME = "findings"


CLAIMS, CELLS, DRIFT, ABLATION = "claims", "cells", "drift", "ablations"


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
    "deep": ("pair/cka", "deep"),
    "srga": ("pair/srga", "srga"),
    "distributions": ("pair/distributions", "distributions"),
}
"""What the page shows, by name: run and table."""


GATHERED = {CELLS: (ABLATION,), DRIFT: ("drift_shown", "drift_hidden")}
"""Tables that are computed of runs' scores."""


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
"""Figures of runs that it shows as they are, by name: run and figure."""
