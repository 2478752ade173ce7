"""Takes the README's pictures of the demo's page: docs/report.png on a screen, docs/report-phone.png on a phone.

`python scripts/picture.py` runs the demo first, in a folder that goes again; `--page demo/report.html` takes a page
that is there already.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LIMIT = 300_000  # bytes; a README loads it each time it is read
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--force-color-profile=srgb",
)  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """One picture: its file's name, the window in CSS pixels, and how many pixels each of those gets."""

    name: str
    width: int
    height: int
    scale: float = 1.0


SHOTS = (Shot("report.png", 1120, 1260), Shot("report-phone.png", 375, 812, 2))


def main() -> int:
    """Take both pictures; return 1 where there is no browser or a picture is too big."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, help="a page that is there already")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for the pictures")
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("no Chromium found; on Debian and Ubuntu: apt-get install chromium", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keytrip-") as name:
        page = options.page or _demo(Path(name))
        sizes = [_take(browser, page.resolve(), shot, options.out, Path(name)) for shot in SHOTS]
    return int(max(sizes) > LIMIT)


def _demo(folder: Path) -> Path:
    command = [sys.executable, "-m", "keytrip", "demo", "--out", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "report.html"


def _take(browser: str, page: Path, shot: Shot, out: Path, folder: Path) -> int:
    """Take one picture and return its size in bytes."""
    picture = out / shot.name
    arguments = [
        browser, *QUIET, f"--user-data-dir={folder / 'profile'}", f"--window-size={shot.width},{shot.height}",
        f"--force-device-scale-factor={shot.scale}", f"--screenshot={picture}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(arguments, check=True, capture_output=True, timeout=120)
    size = picture.stat().st_size
    print(f"{picture}: {size:,} bytes" + (f", more than {LIMIT:,}" if size > LIMIT else ""))
    return size


if __name__ == "__main__":
    sys.exit(main())
