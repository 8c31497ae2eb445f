"""Finished runs of a long benchmark, a line of JSON each, so that a killed benchmark goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

BUILD = Path(__file__).parents[1] / "build"


def recall(name: str, key: dict[str, Any], make: Callable[[], Any] | None) -> Any:
    """What build/NAME.jsonl holds under the key; if it is not there made and added, or None if nothing can make it.

    The result must be JSON. A line cut short by a kill is ignored.
    """
    path = BUILD / f"{name}.jsonl"
    known = path.read_text().split("\n") if path.exists() else []
    for line in known:
        if line.endswith("}") and (row := json.loads(line))["key"] == key:
            return row["found"]
    if make is None:
        return None
    found = make()
    path.parent.mkdir(exist_ok=True)
    cut = "\n" if known and known[-1] else ""
    with path.open("a") as file:
        file.write(f"{cut}{json.dumps({'key': key, 'found': found})}\n")
    return found


def forget(name: str) -> None:
    """Remove what was recorded under a name."""
    (BUILD / f"{name}.jsonl").unlink(missing_ok=True)
