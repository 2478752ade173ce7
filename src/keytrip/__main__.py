"""Entry point: `keytrip` and `python -m keytrip`."""

import os
import sys

_INTERRUPTED = 130


def main() -> int:
    """Run the command line; the version is answered before anything else is imported."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from keytrip import __version__

        sys.stdout.write(f"keytrip {__version__}\n")
        return 0
    try:
        from keytrip.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were imported: nothing has begun
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        # at once: Python remembers the interrupt, and would now and then end by that signal instead of this code
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
