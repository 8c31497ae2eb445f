"""Sweeps: one function over many tasks, in parallel, with a bar, going on where they were interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_count
from convexgan._tools.files import PathLike, read_model, write_model
from convexgan._tools.progress import counted

Task = TypeVar("Task")
Array = NDArray[np.float64]


def run_sweep(
    function: Callable[[Task], Array],
    tasks: Sequence[Task],
    shape: tuple[int, ...],
    *,
    kind: str,
    setting: dict[str, Any],
    path: PathLike | None = None,
    jobs: int | None = None,
    progress: bool = False,
) -> Array:
    """(tasks, *shape) array of what the function returns for each task.

    Parameters
    ----------
    function : function
        From a task to an array of the given shape; sent to other processes, so defined at the top of a file.
    tasks : sequence
        Begun in this order: the longest should come first.
    shape : tuple of int
        Of one result.
    kind : str
        What the sweep is, for its file and its bar.
    setting : dict
        Everything the results depend on, as JSON values.
    path : path, optional
        A file for the results so far, rewritten after each task; an interrupted sweep goes on from there.
    jobs : int, optional
        Processes; all cores unless given.
    progress : bool
        Show how far it is on standard error.

    Raises
    ------
    ValueError
        The file holds a sweep of another setting, or jobs is below 1.
    """
    from joblib import Parallel, delayed

    jobs = -1 if jobs is None else check_count(jobs, "jobs")
    setting = json.loads(json.dumps(setting))
    results, done = _resume(kind, setting, (len(tasks), *shape), path)
    missing = [int(index) for index in np.flatnonzero(~done)]
    work = (delayed(_indexed)(function, index, tasks[index]) for index in missing)
    with counted(kind, len(missing), "runs", progress and bool(missing)) as (_, advance):
        for index, found in Parallel(n_jobs=jobs, return_as="generator_unordered")(work):
            results[index], done[index] = found, True
            if path is not None:
                write_model(path, kind, {"setting": setting}, {"results": results, "done": done})
            advance(1)
    return results


def _resume(
    kind: str, setting: dict[str, Any], shape: tuple[int, ...], path: PathLike | None
) -> tuple[Array, NDArray[np.bool_]]:
    """The results so far and which of them are there."""
    if path is None or not Path(path).exists():
        return np.full(shape, np.nan), np.zeros(shape[0], dtype=bool)
    known, arrays = read_model(path, kind)
    if known.get("setting") != setting or arrays["results"].shape != shape:
        raise ValueError(f"{path} holds a sweep of another setting: give another path, or remove it.")
    return arrays["results"].astype(np.float64), arrays["done"].astype(bool)


def _indexed(function: Callable[[Task], Array], index: int, task: Task) -> tuple[int, Array]:
    return index, function(task)
