"""`python -m analysis.attribution`; see `analysis.attribution.command`."""

from analysis.attribution.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
