"""Every public name of every package can be had, and is listed."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from tests.helpers.paths import ROOT

PACKAGES = (
    *("mtd", "analysis", "analysis.cka", "analysis.generalization", "analysis.srga"),
    *("analysis.distributions", "analysis.degradation", "analysis.sensitivity"),
    *("analysis.attribution", "analysis.brightness", "analysis.compare", "analysis.curves"),
    "analysis.error",
    "analysis.causal",
    "analysis.linear",
)


@pytest.mark.parametrize("name", PACKAGES)
def test_public_names(name):
    package = import_module(name)
    assert set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        assert getattr(package, public) is not None
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        package.absent  # noqa: B018


def test_importing_the_packages_does_not_import_torch():
    code = "import sys, mtd, analysis, analysis.cka; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0
