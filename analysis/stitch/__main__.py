"""`python -m analysis.stitch`; see `analysis.stitch.command`."""

from analysis.stitch.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
