"""Does the duality gap rank GANs as the Frechet distance does, fall while one trains, and show lost modes?

Grnarova et al. (arXiv 1811.05512) say so. Digits: perceptrons of two hidden layers on 64 pixels in [-1, 1], classic
loss, Adam with four pairs of rates, latents of dimension 4 and 32, two seeds, four checkpoints each; and the same with
the penalty r1 = 1 on the discriminator's slopes. The gap is estimated (`duality_gap`: copies answer for 100 steps of
Adam, half of the held-out digits is the adversary's and half evaluates), and beside it the squared Frechet distance of
as many generated digits to the held-out half, on 32 ReLU units of a classifier. Rank correlations (Spearman): over all
checkpoints; over the models, in the end; within a run, mean. Intervals are of 95 %, from 2,000 resamples of whole runs.

Ring: the same, with generators trained by Adam on the first 1, 2, 4, 6 or 8 of the 8 modes, and a discriminator that
was trained for 500 steps against each on all of them; median of two seeds (least to greatest).

Found: with r1 so; without it the gap grows while the pictures get better, since a discriminator that has become sure of
itself leaves the generator's copy much to gain.

Runs are kept in build/gap_as_measure.jsonl: remove it to start afresh.

Example: python -m benchmarks.gap_as_measure --quick
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from benchmarks import rings
from benchmarks._records import forget, recall
from benchmarks._report import parse, spread, write
from benchmarks.pseudo_supervised_gans import Task, digits_task
from convexgan.torch import Objective, duality_gap, train

RATES = ((1e-4, 1e-4), (3e-4, 1e-3), (1e-3, 1e-3), (2e-3, 2e-4))
CHECKPOINTS = (100, 300, 900, 1800)
CLASSIC = Objective(loss="classic", generator_penalty=0.0)
MODES = (1, 2, 4, 6, 8)
NAME = "gap_as_measure"


def perceptron(inputs: int, outputs: int, *last: nn.Module) -> nn.Module:
    """Two hidden layers of 128 units."""
    hidden = [nn.Linear(inputs, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2)]
    return nn.Sequential(*hidden, nn.Linear(128, outputs), *last)


def digits_run(
    task: Task, rates: tuple[float, float], k: int, seed: int, checkpoints: tuple[int, ...], r1: float
) -> list[Any]:
    """(step, gap, squared Frechet distance) at each checkpoint."""
    torch.manual_seed(seed)
    objective = replace(CLASSIC, r1=r1)
    held = task.held.reshape(len(task.held), -1).astype(np.float32)
    rows, found = task.train.reshape(len(task.train), -1).astype(np.float32), []
    test = torch.randn(len(held), k)

    def look(step: int, generator: nn.Module, discriminator: nn.Module) -> None:
        if step in checkpoints:
            gap = duality_gap(generator, discriminator, held, k, objective, steps=100, rate=1e-3).value
            with torch.no_grad():
                made = generator(test).double().numpy().reshape(-1, *task.held.shape[1:])
            found.append([step, gap, task.distance(made, task.held)])

    players = perceptron(k, rows.shape[1], nn.Tanh()), perceptron(rows.shape[1], 1)
    options: dict[str, Any] = {
        "optimizer": rings.ADAM,
        "rates": rates,
        "batch": 64,
        "every": checkpoints[0],
        "rng": seed,
    }
    train(*players, rows, k, objective, steps=checkpoints[-1], callbacks=[look], **options)
    return found


def ring_run(modes: int, seed: int, steps: int, r1: float) -> float:
    """The gap of a generator of so many modes."""
    torch.manual_seed(seed)
    objective = replace(CLASSIC, r1=r1)
    centres, deviation = rings.ring()
    generator, options = rings.net(2, 0.0), {"optimizer": rings.ADAM, "batch": 256, "rng": seed}
    some = rings.draw((centres[:modes], deviation), 10_000, seed)
    train(generator, rings.net(1, 0.2), some, 2, CLASSIC, rates=(3e-4, 1e-3), steps=steps, **options)
    whole, discriminator = rings.draw((centres, deviation), 10_000, seed), rings.net(1, 0.2)
    train(generator, discriminator, whole, 2, objective, rates=(0.0, 1e-3), steps=steps // 4, **options)
    return float(duality_gap(generator, discriminator, whole[:5000], 2, objective, steps=100, rate=1e-3).value)


def correlation(points: np.ndarray) -> float:
    return float(spearmanr(points[:, 1], points[:, 2]).statistic)


def correlations(runs: np.ndarray) -> list[float]:
    """Over all checkpoints, over models in the end, and within a run, of (runs, checkpoints, 3)."""
    return [
        correlation(runs.reshape(-1, 3)),
        correlation(runs[:, -1]),
        float(np.mean([correlation(run) for run in runs])),
    ]


def digits_rows(
    task: Task, name: str, r1: float, seeds: tuple[int, ...], checkpoints: tuple[int, ...]
) -> list[list[object]]:
    """Rank correlations over all runs with this penalty."""
    runs = []
    for rates in RATES:
        for k in (4, 32):
            for seed in seeds:
                key = {"rates": list(rates), "k": k, "seed": seed, "checkpoints": list(checkpoints)}
                key |= {"r1": r1} if r1 else {}
                runs.append(recall(name, key, partial(digits_run, task, rates, k, seed, checkpoints, r1)))
                print(key, runs[-1], flush=True)
    found, rng = np.array(runs), np.random.default_rng(0)
    drawn = [correlations(found[rng.integers(len(found), size=len(found))]) for _ in range(2000)]
    bounds = np.nanquantile(drawn, [0.025, 0.975], axis=0).T
    what = (
        f"all {found.shape[0] * found.shape[1]} checkpoints",
        f"the {len(found)} models in the end",
        "within a run, mean",
    )
    text = "digits" + (f", r1 = {r1:g}" if r1 else "")
    return [
        [text, f"rank correlation with the Frechet distance, {over}", f"{value:.2f} ({low:.2f} to {high:.2f})"]
        for over, value, (low, high) in zip(what, correlations(found), bounds, strict=True)
    ]


def main() -> None:
    """Train what is missing, then correlate."""
    options = parse(__doc__)
    torch.set_num_threads(1)
    name = f"{NAME}_quick" if options.quick else NAME
    if options.quick:
        forget(name)
    task, seeds = digits_task(), (0,) if options.quick else (0, 1)
    rows: list[list[object]] = []
    for r1 in (0.0, 1.0):
        rows += digits_rows(task, name, r1, seeds, (20, 40) if options.quick else CHECKPOINTS)
        for modes in MODES:
            steps = 40 if options.quick else 2000
            gaps = []
            for seed in seeds:
                key = {"modes": modes, "seed": seed, "steps": steps} | ({"r1": r1} if r1 else {})
                gaps.append(recall(name, key, partial(ring_run, modes, seed, steps, r1)))
            text = "ring" + (f", r1 = {r1:g}" if r1 else "")
            rows.append([text, f"gap with {modes} of 8 modes", spread(gaps)])
    write(NAME, ["data", "measure", "found"], rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
