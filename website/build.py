"""Builds the documentation site from docs/ and from the code: `python website/build.py` writes build/site/index.html.

Pages of docs/ are read as they are on GitHub. Pages of rules, the reference and the pictures are made from the package
and from committed records. Any broken link or anchor is an error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from gallery import gallery
from pages import written
from reference import reference

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def sources(*, execute: bool) -> dict[str, str | bytes]:
    """Every file that the site is made of, by its path in the site."""
    found: dict[str, str | bytes] = {**written(ROOT, execute=execute), **reference(), **gallery(ROOT)}
    for name in ("site.css", "filter.js", "iframe-worker.js"):
        found[name] = (HERE / name).read_text(encoding="utf-8")
    return found


def gather(target: Path, *, execute: bool) -> None:
    """Writes the sources of the site to a folder, which then holds nothing else."""
    shutil.rmtree(target, ignore_errors=True)
    for name, content in sources(execute=execute).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="folder for `pages` and `site`")
    parser.add_argument(
        "--execute", action="store_true", help="execute the tutorials, and show what they print and plot"
    )
    parser.add_argument("--serve", action="store_true", help="serve the site on the loopback interface")
    options = parser.parse_args()
    gather(options.out / "pages", execute=options.execute)
    command = ["serve"] if options.serve else ["build", "--strict", "--clean"]
    folders = {"ONCHIP_SITE_PAGES": str(options.out / "pages"), "ONCHIP_SITE": str(options.out / "site")}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *command, "--config-file", HERE / "mkdocs.yml"],
        env={**os.environ, **folders, "NO_MKDOCS_2_WARNING": "1"},
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
