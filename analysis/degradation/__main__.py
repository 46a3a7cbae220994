"""`python -m analysis.degradation`; see `analysis.degradation.command`."""

from analysis.degradation.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
