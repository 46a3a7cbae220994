"""Whether `torch.compile` can work here."""

from __future__ import annotations

import shutil

import pytest
import torch

needs_a_compiler = pytest.mark.skipif(
    not torch.cuda.is_available() and not any(map(shutil.which, ("g++", "clang++", "c++"))),
    reason="torch.compile needs a C++ compiler on the CPU",
)
