"""`python -m gate`, and the installed command `gate`."""

import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code; Ctrl-C counts from the first import on."""
    try:
        from gate.cli.main import main as run  # noqa: PLC0415 - takes long enough for a Ctrl-C

        code = run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = _INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
