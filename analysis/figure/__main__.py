"""`python -m analysis.figure`; see `analysis.figure.command`."""

from analysis.figure.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
