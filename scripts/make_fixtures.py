"""Make the fixtures of tests/fixtures that come from real programs: LiteLLM and nginx, both run on loopback.

Run it from anywhere: `python scripts/make_fixtures.py`. It needs pip's index, and nginx and Postgres on PATH
(Debian: `apt-get install nginx-light postgresql`). `--venv DIR` keeps the installed LiteLLM for the next run.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from scripts.fixtures.run import main

    sys.exit(main(sys.argv[1:]))
