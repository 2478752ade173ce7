"""Entry point: `keytrip` and `python -m keytrip`."""

import sys


def main() -> int:
    """Run the command line; the version is answered before anything else is imported."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from keytrip import __version__

        sys.stdout.write(f"keytrip {__version__}\n")
        return 0
    try:
        from keytrip.cli.app import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were imported: nothing has begun
        return 130


if __name__ == "__main__":
    sys.exit(main())
