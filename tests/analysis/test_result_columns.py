"""The properties of results name every column of their tables."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from analysis.attribution.effects.result import CausalEffectsResult
from analysis.causal.faig.result import FaigResult
from analysis.causal.result import CausalResult
from analysis.error.result import ErrorResult
from analysis.linear.result import LinearResult
from analysis.stitch.result import StitchResult
from tests.helpers.paths import ROOT

OF = {"error": ErrorResult, "linear": LinearResult, "causal": CausalResult}
TABLES = [
    ("error", "error", "error"),
    ("error", "difference", "error_difference"),
    *(("error", name, name) for name in ("transfer", "filter", "residual")),
    ("linear", "linear", "linear"),
    ("linear", "difference", "linear_difference"),
    ("linear", "filters_table", "filters"),
    *(("linear", name, name) for name in ("singular_values", "equivariance", "levels")),
    ("causal", "causal", "causal"),
    ("causal", "together", "causal_together"),
    ("causal", "difference", "causal_difference"),
]
BOUND = re.compile(r"_?(low|high)$")


@pytest.mark.parametrize("section, name, table", TABLES)
def test_columns_are_named(section: str, name: str, table: str):
    columns = pd.read_csv(ROOT / "reports/example" / section / f"{table}.csv", nrows=0).columns
    words = set(re.findall(r"\w+", getattr(OF[section], name).__doc__))
    missing = [column for column in columns if column not in words]
    missing = [column for column in missing if BOUND.sub("", column) not in {"", *words}]
    assert not missing


@pytest.mark.parametrize(
    "kind", [*OF.values(), StitchResult, FaigResult, CausalEffectsResult], ids=lambda k: k.__name__
)
def test_every_table_lists_its_columns(kind: type):
    for name, value in vars(kind).items():
        text = value.fget.__doc__ if isinstance(value, property) else ""
        assert not text or "Columns" in text, f"{kind.__name__}.{name}"
