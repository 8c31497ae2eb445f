"""Code blocks of Markdown pages, and running them as a reader would: in an empty folder, from top to bottom."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, code) of each fenced block."""
    return FENCE.findall(page.read_text(encoding="utf-8"))


def run_page(page: Path, folder: Path) -> str:
    """Run a page's Python and bash blocks in order; Python blocks share their names. Returns what they print."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "PYTHON": sys.executable}
    # `python` and `convexgan` are those of the tests, installed or not
    shims = 'set -eu; python() { "$PYTHON" "$@"; }; convexgan() { "$PYTHON" -m convexgan "$@"; }\n'
    printed, pending = "", ""
    for language, code in [*blocks(page), ("bash", "")]:
        if language == "python":
            pending += code + "\n"
        elif language == "bash":
            for command in ([sys.executable, "-c", pending], [shutil.which("bash") or "bash", "-c", shims + code]):
                done = subprocess.run(
                    command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
                )
                assert done.returncode == 0, f"{page.name}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
                printed += done.stdout
    return printed
