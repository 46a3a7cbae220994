"""`python -m analysis.causal`; see `analysis.causal.command`."""

from analysis.causal.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
