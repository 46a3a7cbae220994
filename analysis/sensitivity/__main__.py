"""`python -m analysis.sensitivity`; see `analysis.sensitivity.command`."""

from analysis.sensitivity.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
