"""`python -m analysis.compare_cards`; see `analysis.compare_cards.command`."""

from analysis.compare_cards.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
