"""`python -m analysis.report`; see `analysis.report.command`."""

from analysis.report.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
