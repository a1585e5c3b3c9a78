"""`hfcli` and `python -m hfcli`."""

import sys


def run() -> None:
    """The console script. Ctrl-C may come while the command line itself is still being imported."""
    try:
        from hfcli.cli import main

        code = main()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    run()
