"""`python -m analysis.generalization`; see `analysis.generalization.command`."""

from analysis.generalization.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
