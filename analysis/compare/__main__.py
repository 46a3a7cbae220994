"""`python -m analysis.compare`; see `analysis.compare.command`."""

from analysis.compare.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
