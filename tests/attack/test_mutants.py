"""The driver of mutation testing, without cosmic-ray: sources that are exchanged in memory."""

from __future__ import annotations

import gc
import importlib.util
import json

import pytest

from tests.attack.core_tests import CORE
from tests.attack.mutants import EQUIVALENT
from tests.attack.replaced_code import replaced
from tests.helpers.paths import ROOT

SOURCE = """
SCALE = 2

def scaled(x):
    return SCALE * x

def adder(n):
    def add(x):
        return x + n
    return add

add_three = adder(3)
"""


@pytest.fixture
def module(tmp_path):
    gc.freeze()  # what is there already is not searched for functions
    path = tmp_path / "arithmetic.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("arithmetic", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    yield found, path
    gc.unfreeze()


def test_functions_in_memory_get_the_changed_code(module):
    found, path = module
    held = found.scaled
    assert replaced(path, SOURCE, SOURCE.replace("SCALE * x", "SCALE ** x"))
    assert held(5) == 32 and found.add_three(4) == 7


def test_functions_inside_of_functions_too(module):
    found, path = module
    assert replaced(path, SOURCE, SOURCE.replace("x + n", "x - n"))
    assert found.add_three(4) == 1 and found.adder(10)(4) == -6


def test_what_is_no_function_is_not_replaced(module):
    found, path = module
    for before, after in (("SCALE = 2", "SCALE = 3"), ("adder(3)", "adder(4)")):
        assert not replaced(path, SOURCE, SOURCE.replace(before, after))
    assert found.scaled(5) == 10 and found.add_three(4) == 7


def test_every_module_of_the_core_and_its_tests_exist():
    for path, tests in CORE.items():
        assert all((ROOT / name).is_file() for name in (path, *tests))


def test_mutants_that_are_called_equivalent_still_stand_in_the_code():
    for one in json.loads(EQUIVALENT.read_text()):
        assert one["before"] in (ROOT / one["path"]).read_text() and one["reason"]
