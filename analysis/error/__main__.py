"""`python -m analysis.error`; see `analysis.error.command`."""

from analysis.error.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
