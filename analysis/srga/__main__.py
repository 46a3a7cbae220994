"""`python -m analysis.srga`; see `analysis.srga.command`."""

from analysis.srga.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
