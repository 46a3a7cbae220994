"""`python -m analysis.curves`; see `analysis.curves.command`."""

from analysis.curves.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
