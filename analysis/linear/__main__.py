"""`python -m analysis.linear`; see `analysis.linear.command`."""

from analysis.linear.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
