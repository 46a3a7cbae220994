"""What loading a network does not import."""

from __future__ import annotations

import subprocess
import sys

LOAD = """\
import sys, mtd
mtd.load("masked.pth")
print([name for name in ("torch._dynamo", "sympy", "scipy.stats") if name in sys.modules])
"""


def test_loading_a_bundled_network_does_not_import_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
