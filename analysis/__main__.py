"""`python -m analysis` lists the commands, and runs the one that is named."""

from analysis.commands.console import main

if __name__ == "__main__":
    main()
