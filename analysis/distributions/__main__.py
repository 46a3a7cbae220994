"""`python -m analysis.distributions`; see `analysis.distributions.command`."""

from analysis.distributions.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
