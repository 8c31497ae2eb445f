"""Progressive models on pictures: the discrepancy of each stage, and metrics of new pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from convexgan.cli.console import Json, Phases, Seed, number, phase, print_json, print_table, result
from convexgan.cli.models import Class, Run, of_class
from convexgan.cli.pictures import CacheFolder, Data, Selection, Strict, decoded, locate, writable
from convexgan.datasets import Cache
from convexgan.discrepancy import HeldOut

if TYPE_CHECKING:
    from convexgan.metrics import Report
    from convexgan.progressive.passes import Pictures

DRAWN = 1024  # pictures drawn at a time


def evaluate(
    run: Run,
    data: Data,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Also metrics of new pictures, some of frechet,kernel,sliced,precision-recall,copies,faces[=FILE]."
        ),
    ] = None,
    extractor: Annotated[
        str,
        typer.Option(
            help="What metrics look with: pixels[=SIZE], age256[=FILE], efficientnet-lite0[=FILE], inception=FILE."
        ),
    ] = "pixels",
    resamples: Annotated[int, typer.Option(help="Bootstrap draws for the intervals.")] = 100,
    label: Class = None,
    cache: CacheFolder = None,
    strict: Strict = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Measure a model on pictures: the discrepancy at each stage, with a bootstrap interval, beside beta.

    On the pictures it was fitted to, the discrepancy is beta; on new ones it is larger.
    With --metrics, as many new pictures are compared with the given ones, beside a real-against-real floor. What
    `convexgan train --progressive` made has no certificates: there are only metrics, frechet unless others are named.

    Pictures are read block by block from the cache, which also keeps what the extractor makes of them: another call, or
    another run with the same --cache, neither decodes nor looks at them again.

    Of a class, on pictures of it: convexgan evaluate run smiling/ --class Smiling

    Example: convexgan evaluate run new_faces/ --metrics frechet,kernel --extractor pixels=16
    """
    from convexgan.cli.runs import load_model, load_trained, selection_of

    trained = load_trained(run)
    model: Any = of_class(trained or load_model(run), label, run)
    size, color = (model.sizes[-1], model.channels == 3) if trained else (model.stages_[-1].size, model.color_)
    crop, place = selection_of(run).crop, (run if run.is_dir() else run.parent) / "cache" if cache is None else cache
    pictures = _real(data, size, color, crop, place, strict)
    metrics = "frechet" if trained and metrics is None else metrics
    measured = quality(model, pictures, metrics, extractor, resamples, seed, place) if metrics is not None else None
    content: dict[str, Any] = {"pictures": len(pictures)}
    if not trained:
        with phase("evaluating"):
            content["stages"] = evaluation(model, model.held_out(pictures, resamples=resamples, rng=seed))
    if measured is not None:
        content["metrics"] = json.loads(measured.to_json())
    if as_json:
        print_json(content)
        return
    if not trained:
        print_evaluation(content["stages"], len(pictures), "given")
    if measured is not None:
        print_table(measured.columns, [r.cells() for r in measured.results], "new pictures")
        for line in measured.notes:
            result(line)


def _real(data: str, size: int, color: bool, crop: str, cache: Path, strict: bool) -> Pictures:
    """The pictures to compare with, read block by block; grey ones with three channels for a model in colour."""
    from convexgan.progressive.passes import as_pictures

    how: dict[str, Any] = {"color": color or None, "workers": os.cpu_count() or 1, "strict": strict}
    found = decoded(locate(data, size, Selection(crop=crop)), size, crop, cache, Phases(), **how)
    if isinstance(found, Cache):
        return found
    images = found.images
    if color and images.ndim == 3:
        images = np.broadcast_to(images[..., None], (*images.shape, 3))
    return as_pictures(images)


@dataclass(frozen=True)
class Drawn:
    """New pictures of a model, drawn block by block, the same whenever they are looked at."""

    model: Any
    count: int
    seed: int

    def blocks(self) -> Iterator[NDArray[np.uint8]]:
        """The first block is that of the seed."""
        starts = range(0, self.count, DRAWN)
        seeds = [self.seed, *np.random.SeedSequence(self.seed).generate_state(len(starts) - 1).tolist()]
        for start, seed in zip(starts, seeds, strict=True):
            yield self.model.sample(min(DRAWN, self.count - start), seed)


def quality(
    model: Any, pictures: Pictures, metrics: str, extractor: str, resamples: int, seed: int, cache: Path
) -> Report:
    """The metrics of as many new pictures as are given."""
    from convexgan.metrics import evaluate as compare

    drawn, how = Drawn(model, len(pictures), seed), {"resamples": resamples, "rng": seed}
    with phase("measuring new pictures"), writable(cache):
        return compare(pictures, drawn, metrics.split(","), extractor, keep=cache, **how)


EVALUATION = ("size", "rank", "beta", "ipm", "low", "high")


def evaluation(model: Any, found: list[HeldOut]) -> list[dict[str, Any]]:
    """One record for each stage: ipm on the given pictures with its interval, beside beta."""
    return [
        {"size": s.size, "rank": s.rank, "beta": s.beta, "ipm": h.value, "low": h.low, "high": h.high, "level": h.level}
        for s, h in zip(model.stages_, found, strict=True)
    ]


def evaluation_rows(records: list[dict[str, Any]]) -> list[list[str]]:
    """The cells of the evaluation table."""
    return [[str(r["size"]), str(r["rank"]), *(number(r[name], 5) for name in EVALUATION[2:])] for r in records]


def print_evaluation(records: list[dict[str, Any]], count: int, name: str) -> None:
    """Print the evaluation table, and why an interval reaches down to 0 if one does."""
    level = min(r["level"] for r in records)
    print_table(EVALUATION, evaluation_rows(records), f"{name}: {count} pictures ({level:.3g} bootstrap interval)")
    reaching = [r for r in records if r["low"] == 0 < r["ipm"]]
    if reaching:
        sizes = ", ".join(str(r["size"]) for r in reaching)
        away = ", ".join(number(r["high"] - r["ipm"], 5) for r in reaching)
        result(
            f"size {sizes}: low is 0, as pictures drawn with replacement from these {count} are up to {away} away from "
            "them: so little is known of the law behind them that the model's may be the same. More pictures narrow "
            "the interval."
        )
