"""`python -m analysis.brightness`; see `analysis.brightness.command`."""

from analysis.brightness.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
