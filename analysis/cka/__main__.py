"""`python -m analysis.cka`; see `analysis.cka.command`."""

from analysis.cka.command import main
from mtd.utils.cli import run

if __name__ == "__main__":
    run(main)
