"""`python -m analysis.card`; see `analysis.card.command`."""

from analysis.card.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
