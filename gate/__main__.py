"""`python -m gate`, and the installed command `gate`."""

import sys

from gate.cli.main import main as run


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
