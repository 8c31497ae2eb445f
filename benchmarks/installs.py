"""Wheel and sdist, built and installed into clean environments as a stranger would: without extras, each extra alone.

The sdist is built first and the wheel from it, so what it lacks shows. In each environment `pip check` is clean, the
README's first example runs, and `convexgan doctor` finds nothing to repair. What brings torch is installed on Python
3.11 only: elsewhere the package index has builds of gigabytes.

Examples: python -m benchmarks.installs            (a few environments, as `make dist` does)
          python -m benchmarks.installs --full     (every extra on every Python that is found, and the table)
"""

from __future__ import annotations

import argparse
import email
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

from benchmarks import _report
from benchmarks.machines import working

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
CONSTRAINTS = ROOT / "constraints.txt"
PYTHONS = ("3.11", "3.12", "3.13")
WITH_TORCH = {"torch", "metrics"}
BUNDLES = {"all", "bench", "dev", "dist", "site"}  # of several extras, or for developers
FIRST = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RELATIVE = re.compile(r"\]\((?!https?://|#|mailto:)[^)]*\)")


def main() -> None:
    """Build, install and look; exit code 1 if anything fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="every extra on every Python, and write the table")
    full = parser.parse_args().full
    wheel = built()
    described(wheel)
    found = {name: python for name in PYTHONS if (python := working(f"python{name}"))}
    rows = []
    for name, extra in cells(list(found), full):
        rows.append([name, extra or "none", *installed(found[name], wheel, extra)])
        print(" ".join(map(str, rows[-1])), file=sys.stderr, flush=True)
    failed = sum(row[-1] != "works" for row in rows)
    missing = [name for name in PYTHONS if name not in found]
    text = (
        f"The wheel in clean environments: {len(rows) - failed} of {len(rows)} work. In each, `pip check` is clean, "
        "the first example of the README runs, and `convexgan doctor` finds nothing to repair."
        + (f" Not found here: Python {', '.join(missing)}." if missing else "")
    )
    _report.write("installs", ["Python", "extra", "packages", "MB", "outcome"], rows, text, quick=not full)
    sys.exit(bool(failed) or not rows)


def cells(pythons: list[str], full: bool) -> list[tuple[str, str]]:
    """(Python, extra) of each environment; in short, no extra on each Python and one on the first."""
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if not full:
        return [(name, "") for name in pythons] + [(name, "plot") for name in pythons[:1]]
    extras = ["", *(extra for extra in given if extra not in BUNDLES)]
    return [(name, extra) for name in pythons for extra in extras if name == "3.11" or extra not in WITH_TORCH]


def built() -> Path:
    """The wheel, from the sdist."""
    shutil.rmtree(DIST, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--outdir", DIST, ROOT]
    subprocess.run(
        command, check=True, env=os.environ | {"PIP_CONSTRAINT": str(CONSTRAINTS)}, stdout=subprocess.DEVNULL
    )
    (wheel,) = DIST.glob("*.whl")
    return wheel


def described(wheel: Path) -> None:
    """Raise unless an index can show the long description: it is drawn, and no link leads out of it by a path."""
    from readme_renderer.markdown import render

    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        about = email.message_from_bytes(archive.read(name))
    text = str(about.get_payload())
    if about["Description-Content-Type"] != "text/markdown" or not render(text):
        raise ValueError("the long description is no Markdown that an index draws.")
    if links := RELATIVE.findall(text):
        raise ValueError(f"the long description has links that lead nowhere on an index: {links}.")


def installed(python: str, wheel: Path, extra: str) -> tuple[int, int, str]:
    """How many packages a clean environment has, its megabytes, and "works" or what does not."""
    example = FIRST.search((ROOT / "README.md").read_text(encoding="utf-8"))
    if example is None:
        raise ValueError("README.md has no example in Python.")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "env"
        subprocess.run([python, "-m", "venv", home], check=True)
        own = home / "bin" / "python"
        wanted = f"convexgan[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
        steps = {
            "install": [own, "-m", "pip", "install", "-qq", "--no-compile", "-c", CONSTRAINTS, wanted],
            "pip check": [own, "-m", "pip", "check"],
            "README": [own, "-W", "error", "-c", example[1]],
            "doctor": [home / "bin" / "convexgan", "doctor"],
        }
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        for name, step in steps.items():
            done = subprocess.run(step, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                print(done.stdout, done.stderr, file=sys.stderr)
                return 0, 0, f"{name} fails"
        size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file() and not path.is_symlink())
        return len(list(home.glob("lib/*/site-packages/*.dist-info"))), round(size / 1e6), "works"


if __name__ == "__main__":
    main()
