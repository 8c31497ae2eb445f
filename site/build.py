"""The documentation site: gathers pages, tables, notebooks and the reference, and builds build/site/html.

Pages are those of docs/, README, CONTRIBUTING and CHANGELOG; tables those of benchmarks/results; the gallery is of the
notebooks that `make notebooks` has executed (their code alone where it has not); the reference has every public name.

Example: python site/build.py          (make site)
"""

from __future__ import annotations

import base64
import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from snippets import included

import convexgan as cg

ROOT = Path(__file__).parents[1]
SITE, BUILD = ROOT / "site", ROOT / "build" / "site"
PAGES = BUILD / "pages"
QUESTIONS = {  # what a reader has, and the pages that begin there
    "Start": (
        "index",
        "start-optimizer",
        "start-torch",
        "start-statistics",
        "start-pictures",
        "why-convex",
        "numbers",
        "overview",
        "how-to-choose",
        "glossary",
        "command-line",
    ),
    "I have pictures": ("progressive", "faces", "datasets", "metrics", "plotting"),
    "I have a table": ("arrays", "moments", "estimators", "discriminators", "generators", "conditional", "balance"),
    "I have a GAN": ("torch", "certificates", "problems", "updates"),
    "I have a game": ("closed-forms", "programs", "games", "arrangements", "numerical-precision"),
    "I have a theorem": ("dynamics", "linear-gans", "claims"),
    "I have an idea": ("adding",),
}
FENCED = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
DISPLAYED = re.compile(r"\s*\$\$(.+?)\$\$([.,;]?)\s*", re.DOTALL)
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s]+)\)")


def main() -> None:
    """Gather everything, and build."""
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir(parents=True)
    for page in (ROOT / "docs").glob("*.md"):
        write("overview" if page.stem == "index" else page.stem, page.read_text(encoding="utf-8"), page.parent)
    for name, page in (("index", "README.md"), ("contributing", "CONTRIBUTING.md"), ("changelog", "CHANGELOG.md")):
        write(name, (ROOT / page).read_text(encoding="utf-8"), ROOT)
    shutil.copy(SITE / "site.css", PAGES)
    parts: list[Any] = [{title: have} for title, pages in QUESTIONS.items() if (have := existing(pages))]
    parts += [{"Gallery": gallery()}, {"Reference": reference()}, {"Tables": tables()}]
    parts.append({"The project": ["contributing.md", "changelog.md"]})
    settings = (SITE / "mkdocs.yml").read_text(encoding="utf-8").replace("[mathematics.py]", f"[{SITE}/mathematics.py]")
    settings = settings.replace("../build/site", str(BUILD)).replace("paths: [..]", f"paths: [{ROOT}]")
    (BUILD / "mkdocs.yml").write_text(settings + yaml.safe_dump({"nav": parts}, sort_keys=False), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", BUILD / "mkdocs.yml"], check=True)


def write(name: str, text: str, folder: Path) -> None:
    """A page, its links pointing to where their pages and pictures are on the site."""

    def moved(found: re.Match[str]) -> str:
        label, target = found.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return found[0]
        path, mark, anchor = target.partition("#")
        return f"{label}({place((folder / path).resolve())}{mark}{anchor})"

    parts = FENCED.split(included(text, folder))
    parts[::2] = [DISPLAYED.sub(r"\n\n$$\1\2$$\n\n", LINK.sub(moved, part)) for part in parts[::2]]
    (PAGES / f"{name}.md").write_text("".join(parts), encoding="utf-8")


def place(path: Path) -> str:
    """Where a file of the project is on the site, from a page at its top; pictures are copied there."""
    inside = path.relative_to(ROOT)
    known = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
    if str(inside) in known:
        return known[str(inside)]
    if inside.parent == Path("docs") and path.suffix == ".md":
        return "overview.md" if inside.name == "index.md" else inside.name
    target = "tables" / inside.relative_to("benchmarks/results") if "results" in inside.parts else Path(inside.name)
    if path.suffix != ".md":
        (PAGES / target).parent.mkdir(exist_ok=True)
        shutil.copy(path, PAGES / target)
    return target.as_posix()


def existing(pages: tuple[str, ...]) -> list[str]:
    """The files of those pages that there are."""
    return [f"{page}.md" for page in pages if (PAGES / f"{page}.md").exists()]


# -- tables, notebooks, reference ----------------------------------------------------------------------------------


def tables() -> list[str]:
    """A page for each benchmark's table and figures, and one with the first sentence of each."""
    folder, lines = PAGES / "tables", ["# Tables", "", "| benchmark | what it measures |", "|---|---|"]
    folder.mkdir(exist_ok=True)
    results = sorted((ROOT / "benchmarks" / "results").glob("*.md"))
    for result in results:
        text = result.read_text(encoding="utf-8")
        figures = sorted(result.parent.glob(f"{result.stem}*.png"))
        for figure in figures:
            shutil.copy(figure, folder)
        shown = "".join(f"\n\n![{figure.stem}]({figure.name})" for figure in figures)
        (folder / result.name).write_text(text + shown, encoding="utf-8")
        about = " ".join(text.partition("\n\n")[2].partition("\n\n")[0].split())
        lines.append(f"| [{result.stem}]({result.name}) | {about.partition('. ')[0].replace('|', chr(92) + '|')} |")
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")
    return ["tables/index.md", *(f"tables/{result.name}" for result in results)]


def gallery() -> list[str]:
    """A page for each notebook, and one with a picture of each."""
    folder, cards = PAGES / "gallery", []
    folder.mkdir()
    for source in sorted((ROOT / "notebooks").glob("*.py")):
        executed = ROOT / "build" / "notebooks" / f"{source.stem}.ipynb"
        if not executed.exists():
            executed = BUILD / f"{source.stem}.ipynb"
            subprocess.run(
                [sys.executable, "-m", "jupytext", "-q", "--to", "ipynb", "-o", executed, source], check=True
            )
        title, text, thumbnail = notebook(json.loads(executed.read_text(encoding="utf-8")), source.stem, folder)
        (folder / f"{source.stem}.md").write_text(text, encoding="utf-8")
        picture = f'<img src="{thumbnail}" alt=""><br>' if thumbnail else ""
        cards.append(f"<div markdown>{picture}\n[{title}]({source.stem}.md)</div>")
    text = (
        "# Gallery\n\nNotebooks, executed.\n\n" + '<div class="gallery" markdown>\n' + "\n".join(cards) + "\n</div>\n"
    )
    (folder / "index.md").write_text(text, encoding="utf-8")
    return ["gallery/index.md", *(f"gallery/{s.stem}.md" for s in sorted((ROOT / "notebooks").glob("*.py")))]


def notebook(content: dict[str, Any], name: str, folder: Path) -> tuple[str, str, str]:
    """A notebook's title, its page, and the name of its first picture, which are written beside it."""
    parts: list[str] = []
    pictures: list[str] = []
    for cell in content["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif source.strip():
            parts.append(f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                pictures.append(f"{name}-{len(pictures)}.png")
                (folder / pictures[-1]).write_bytes(base64.b64decode("".join(data["image/png"])))
                parts.append(f"![figure]({pictures[-1]})")
            elif said := "".join(output.get("text", data.get("text/plain", []))):
                parts.append(f"```text\n{said.rstrip()}\n```")
    text = "\n\n".join(parts)
    title = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), name)
    return title, text, pictures[0] if pictures else ""


def reference() -> list[str]:
    """A page for each room with every public name, and one for the package itself."""
    folder, pages = PAGES / "reference", []
    folder.mkdir()
    for name in ("convexgan", *(f"convexgan.{room}" for room in ("discriminators", "generators", *cg._ROOMS))):
        module: ModuleType = importlib.import_module(name)
        about = (module.__doc__ or "").strip().partition("\n\n")[0]
        names = [
            n for n in getattr(module, "__all__", []) or own(module) if not isinstance(getattr(module, n), ModuleType)
        ]
        lines = [f"# {name}", "", about, ""]
        for public in names:
            thing = getattr(module, public)
            named = (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__name__ == public
            home = thing.__module__ if named else name
            lines += [f"::: {home}.{public}", ""]
        (folder / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")
        pages.append(f"reference/{name}.md")
    return pages


def own(module: ModuleType) -> list[str]:
    """The public functions and classes that a module without __all__ defines."""
    return [
        n
        for n, thing in vars(module).items()
        if not n.startswith("_") and getattr(thing, "__module__", "") == module.__name__
    ]


if __name__ == "__main__":
    main()
