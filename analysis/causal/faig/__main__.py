"""`python -m analysis.causal.faig`; see `analysis.causal.faig.command`."""

from analysis.causal.faig.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
