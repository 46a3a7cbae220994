"""`python -m analysis.findings`; see `analysis.findings.command`."""

from analysis.findings.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
