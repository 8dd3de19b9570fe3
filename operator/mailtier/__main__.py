"""The entry point of the `mailtier` program."""

import sys

from mailtier.cli import main as cli


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(cli.run())


if __name__ == "__main__":
    main()
