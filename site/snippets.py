"""Code of tests on pages: a line that is only a link to ``file.py#name,name`` stands for what the file defines."""

from __future__ import annotations

import ast
import re
from pathlib import Path

INCLUDED = re.compile(r"^\[[^\]]*\]\(([^)\s#]+\.py)#([\w,]+)\)$", re.MULTILINE)


def included(text: str, folder: Path) -> str:
    """The page with the code behind each such line.

    Parameters
    ----------
    text : str
    folder : Path
        Of the page; links start there.

    Raises
    ------
    ValueError
        A file does not define a name.
    """

    def with_code(found: re.Match[str]) -> str:
        path = folder / found[1]
        parts = [definition(path, name) for name in found[2].split(",")]
        code = "\n\n\n".join(part for part in (imports(path, parts), *parts) if part)
        return f"```python\n{code}\n```\n\nFrom `{path.resolve().parent.name}/{path.name}`."

    return INCLUDED.sub(with_code, text)


def definition(path: Path, name: str) -> str:
    """The source of a function or class at the top of a file, with its decorators."""
    source = path.read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(source.splitlines()[first - 1 : node.end_lineno])
    raise ValueError(f"{path} defines no {name}: name a function or class at its top.")


def imports(path: Path, parts: list[str]) -> str:
    """The file's imports of what these definitions use."""
    used = {node.id for part in parts for node in ast.walk(ast.parse(part)) if isinstance(node, ast.Name)}
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [name for name in node.names if (name.asname or name.name) in used]
            if node.names:
                found.append(ast.unparse(node))
    return "\n".join(found)
