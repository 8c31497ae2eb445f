"""Progressive descent-ascent beside the closed form: the least certified gap and the processor time of each run.

Pictures minus their mean, at 4, 8, 16 and 32 pixels (colour to 16); linear generators, quadratic neurons. Each
generator is judged as the exact Gaussian law that it is, by the game of the closed form: E|y|^2 + lam * ipm(X, y).
lam = k + 1/2, where k is the published rank, at most d - 1: then the generator of rank k is the only optimum. The
certified gap is (value - optimum) / value. The sets: the ORL photographs of faces (grey), and 20,000 synthetic colour
faces.

* closed form: `solve`, from the rows to the certificate.
* published: the baseline of Sahiner et al. (arXiv 2107.05680) as their public code has it ("Progressive GDA" of
  ProCoGAN): one latent of 48 dimensions, an affine stage on the output of the frozen stage before, 4 d neurons at 4
  pixels and d above, gradient penalty 10, generator penalty 100 times the mean square of a pixel, alternating Adam at
  1e-3 with betas (0, .99), batches of 16, 15,000 steps a stage (2,000 at 32 pixels, a processor's share; 64 pixels are
  left to GPUs). Here neurons are normalised, and weights have no run-time scale. It plays another game than the one by
  which it is judged. "No penalty" leaves that of the generator out.
* our objective: the same steps and batches on the game itself, from the same input as the closed form (the enlarged
  optimum of the stage before, and k dimensions of noise), 2 k neurons.
* without noise: that game with full batches whose second moments are exactly those of data and latents, by the best
  of Adam as above, extragradient (rates .1, .3), and Adam (1e-3, betas .9, .999) against the exact best response: the
  first to reach the target counts, else the least gap, and the search for it costs nothing. To 8 pixels.

Seen: the published baseline ends at the gap of the generator that makes the mean picture only. Its penalty outweighs a
discriminator of slope 1, as 200 / d * |y| = 1 already at |y| = d / 200. Without that penalty it ends about there too,
but for colour at 16 pixels.

Predicted: batches of 16 stay far from 1e-3 (their second moments are wrong by more); without noise some method arrives,
at more than 50 times the closed form's time.

A finished run is kept in build/progressive_gda.jsonl, and --table writes the table of those, as an interrupt (Ctrl-C)
does. Planned are three seeds for the grey faces (medians), one for the colour ones, and one where there is no noise;
"seeds" and "steps" tell what was done. --share .1 gives the published baseline a tenth of its steps. One thread.

Example: OMP_NUM_THREADS=1 python -m benchmarks.progressive_gda --quick
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

import convexgan as cg
from benchmarks._faces import faces
from benchmarks._records import forget, recall
from benchmarks._report import write
from convexgan.datasets import orl
from convexgan.progressive.pyramid import box_pyramid, upsample
from convexgan.progressive.ranks import PUBLISHED as PUBLISHED_RANKS
from convexgan.torch import ExactDiscriminatorLoss, LinearGenerator, Objective, Outcome, TwoLayerDiscriminator, train
from convexgan.updates import adam

Array = NDArray[np.float64]
TARGET, LATENTS, LOOKS = 1e-3, 48, 30
LOWEST = 3e-4  # gap at the foot of the figure
STEPS = {4: 15_000, 8: 15_000, 16: 15_000, 32: 2_000, 64: 15_000}
PUBLISHED = {"published": 100.0, "published, no penalty": 0.0}  # on the mean square of a generated pixel
COLOURS = dict(zip([*PUBLISHED, "our objective"], ["C3", "C1", "C0"], strict=True))
PUBLISHED_ADAM = {"optimizer": partial(adam, betas=(0.0, 0.99)), "rates": 1e-3}
WITHOUT_NOISE: dict[str, dict[str, Any]] = {
    "Adam": PUBLISHED_ADAM,
    "extragradient, .1": {"method": "extragradient", "rates": 0.1},
    "extragradient, .3": {"method": "extragradient", "rates": 0.3},
    "exact response": {"optimizer": "adam", "rates": 1e-3},
}
SETS = {"ORL, grey": ((4, 8, 16, 32), 3), "synthetic, colour": ((4, 8, 16), 1)}  # sizes, seeds


class Law(NamedTuple):
    """A Gaussian: mean + z @ factor for standard Gaussian z."""

    mean: Array
    factor: Array


class Run(NamedTuple):
    """One curve, with rows (step, seconds, gap)."""

    pictures: str
    method: str
    size: int
    seed: int
    curve: list[list[float]]


class Stage(nn.Module):
    """An affine or linear map of the outcome of frozen stages."""

    def __init__(self, before: Law, dim: int, bias: bool) -> None:
        super().__init__()
        self.before, self.latent_dim = before, len(before.factor)
        self.register_buffer("mean", torch.tensor(before.mean))
        self.register_buffer("factor", torch.tensor(before.factor))
        self.map = LinearGenerator(before.factor.shape[1], dim, bias=bias)

    def forward(self, Z: torch.Tensor) -> torch.Tensor:
        """The generated rows."""
        found: torch.Tensor = self.map(self.mean + Z @ self.factor)
        return found

    def law(self) -> Law:
        """The law of the rows, exactly."""
        W = self.map.weights.detach().double().numpy()
        shift = 0.0 if self.map.bias is None else self.map.bias.detach().double().numpy()
        return Law(self.before.mean @ W + shift, self.before.factor @ W)


class Clock:
    """Processor seconds between calls, not within them."""

    def __init__(self) -> None:
        self.spent, self.mark = 0.0, time.process_time()

    def pause(self) -> float:
        """The seconds so far; `resume` lets the clock go on."""
        self.spent += time.process_time() - self.mark
        return self.spent

    def resume(self) -> None:
        """Go on."""
        self.mark = time.process_time()


def published_stage(
    rows: Array, before: Law | None, penalty: float, steps: int, seed: int, look: Callable[[int, float, Law], None]
) -> Law:
    """The law that the published baseline reaches at one resolution; look(step, seconds, law) sees it on the way.

    Parameters
    ----------
    rows : (n, d) array
        Pictures minus their mean.
    before : Law or None
        Of the frozen stage before.
    penalty : float
        What multiplies the mean square of a generated pixel.
    """
    d = rows.shape[1]
    torch.manual_seed(seed)
    G = Stage(before or Law(np.zeros(LATENTS), np.eye(LATENTS)), d, bias=True).float()
    D = TwoLayerDiscriminator(d, 4 * d if before is None else d, "quadratic")
    objective = Objective(gradient_penalty=10.0, generator_penalty=penalty / d)
    trained(G, D, rows, None, objective, PUBLISHED_ADAM | {"batch": 16}, steps, seed, look)
    return G.law()


def trained(
    G: Stage,
    D: nn.Module,
    rows: Array,
    latents: Array | None,
    objective: Objective,
    options: dict[str, Any],
    steps: int,
    seed: int,
    look: Callable[[int, float, Law], None],
) -> None:
    """Train; look(step, seconds, law) sees the generator on the way."""
    clock = Clock()

    def callback(step: int, _G: nn.Module, _D: nn.Module) -> None:
        seconds = 0.0 if step == 0 else clock.pause()
        look(step, seconds, G.law())
        clock.resume()

    every = max(steps // LOOKS, 1)
    run = train(G, D, rows, latents, objective, **options, steps=steps, every=every, callbacks=[callback], rng=seed)
    if run.outcome is Outcome.INTERRUPTED:
        raise KeyboardInterrupt


@dataclass(frozen=True)
class Level:
    """The game at one resolution: pictures, their moments, the input of the optimal stage, and the optimum."""

    size: int
    rows: Array
    data: cg.Moments
    rank: int
    before: Law
    solution: Any
    seconds: float

    @property
    def lam(self) -> float:
        """The price at which the optimal generator has the rank."""
        return self.rank + 0.5

    def gap(self, law: Law) -> float:
        """The certified gap of a law."""
        moments = cg.Moments.of_law(law.mean, law.factor)
        return float(cg.certify(self.data, moments, discriminator="quadratic", lam=self.lam).gap)


@cache
def levels(name: str, sizes: tuple[int, ...]) -> dict[int, Level]:
    """The games of a set of pictures, solved."""
    images = orl(32).images if name == "ORL, grey" else faces(32)
    channels = 3 if images.ndim == 4 else 1
    pyramid, found, code = box_pyramid(np.asarray(images), sizes), {}, np.zeros((0, 0))
    for size in sizes:
        rows = pyramid[size].reshape(len(images), -1).astype(np.float64)
        rows -= rows.mean(axis=0)
        d = rows.shape[1]
        rank = min(PUBLISHED_RANKS[size], d - 1)
        enlarged = upsample(code, size // 2, channels) if len(code) else np.zeros((0, d))
        before = Law(np.zeros(d + rank), np.pad(enlarged, ((0, rank), (0, rank))))
        before.factor[len(enlarged) :, d:] = np.eye(rank)
        start = time.process_time()
        data, latent = cg.Moments.from_array(rows), cg.Moments.of_law(*before)
        solution = cg.solve(data, latent, discriminator="quadratic", lam=rank + 0.5)
        seconds = time.process_time() - start
        found[size] = Level(size, rows, data, rank, before, solution, seconds)
        W = solution.generator.weights
        code = before.factor @ W
    return found


def watched(level: Level) -> tuple[list[list[float]], Callable[[int, float, Law], None]]:
    """Rows (step, seconds, gap), and what fills them."""
    curve: list[list[float]] = []
    return curve, lambda step, seconds, law: curve.append([step, seconds, level.gap(law)])


def published(name: str, sizes: tuple[int, ...], penalty: float, steps: dict[int, int], seed: int) -> dict[str, Any]:
    """The curves of the published baseline through all resolutions."""
    law, curves = None, {}
    for size, level in levels(name, sizes).items():
        curve, look = watched(level)
        law = published_stage(level.rows, law, penalty, steps[size], seed, look)
        curves[str(size)] = curve
    return curves


def ours(level: Level, steps: int, seed: int) -> list[list[float]]:
    """The curve of the published steps on our objective."""
    d = level.rows.shape[1]
    torch.manual_seed(seed)
    G, D = Stage(level.before, d, bias=False).float(), TwoLayerDiscriminator(d, 2 * level.rank, "quadratic")
    curve, look = watched(level)
    options = PUBLISHED_ADAM | {"batch": 16}
    trained(G, D, level.rows, None, Objective(lam=level.lam), options, steps, seed, look)
    return curve


def exact_batches(level: Level) -> tuple[Array, Array]:
    """Rows (d, d) and latents (k, k) with exactly the second moments of the data and of Gaussian latents."""
    spectrum, (k, d) = level.data.spectrum, (len(level.before.factor), level.rows.shape[1])
    root = (spectrum.vectors * np.sqrt(np.maximum(spectrum.values, 0))) @ spectrum.vectors.T
    return np.sqrt(d) * root, np.sqrt(k) * np.eye(k)


def without_noise(level: Level, steps: int, seed: int, method: str) -> list[list[float]]:
    """The curve of a method on our objective with exact moments."""
    rows, latents = exact_batches(level)
    d = rows.shape[1]
    torch.manual_seed(seed)
    G = Stage(level.before, d, bias=False).double()
    D: nn.Module = TwoLayerDiscriminator(d, 2 * level.rank, "quadratic", dtype=torch.float64)
    objective = Objective(lam=level.lam)
    if method == "exact response":
        D, objective = ExactDiscriminatorLoss(rows, "quadratic", level.lam, smoothing=2e-3), Objective()
    curve, look = watched(level)
    trained(G, D, rows, latents, objective, WITHOUT_NOISE[method], steps, seed, look)
    return curve


def level_run(name: str, sizes: tuple[int, ...], size: int, method: Callable[..., Any], *settings: Any) -> Any:
    """The curve of a method at one resolution."""
    return method(levels(name, sizes)[size], *settings)


def plan(quick: bool) -> dict[str, tuple[tuple[int, ...], int]]:
    """Sizes and seeds of each set."""
    return {"ORL, grey": ((4, 8), 1)} if quick else SETS


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """Every run, made or recalled: one seed of each set first."""
    steps = dict.fromkeys(STEPS, 300) if options.quick else STEPS
    fewer = {size: max(int(options.share * most), 1) for size, most in steps.items()}
    chosen = plan(options.quick)

    def known(key: dict[str, Any], make: Callable[[], Any]) -> Any:
        name = "progressive_gda_quick" if options.quick else "progressive_gda"
        return recall(name, key, None if options.table else make) or {}

    for seed in range(max(seeds for _, seeds in chosen.values())):
        for name in (name for name, (_, seeds) in chosen.items() if seed < seeds):
            sizes = chosen[name][0]
            key: dict[str, Any] = {"set": name, "sizes": list(sizes), "steps": [fewer[size] for size in sizes]}
            for label, penalty in PUBLISHED.items():
                make = partial(published, name, sizes, penalty, fewer, seed)
                found = known(key | {"method": label, "seed": seed}, make)
                yield from (Run(name, label, size, seed, found[str(size)]) for size in sizes if found)
            for size in sizes:
                at: Any = partial(level_run, name, sizes, size)
                key = {"set": name, "size": size, "steps": steps[size]}
                makes = {
                    "our objective": (key | {"method": "ours", "seed": seed}, partial(at, ours, steps[size], seed))
                }
                for method in WITHOUT_NOISE if size <= 8 and seed == 0 else ():
                    makes[method] = key | {"method": method}, partial(at, without_noise, steps[size], 0, method)
                for method, made in makes.items():
                    if curve := known(*made):
                        yield Run(name, method, size, seed, curve)


def reached(curve: list[list[float]]) -> tuple[float, float]:
    """The first step and second at which the gap is at most the target; infinite if it never is."""
    for step, seconds, gap in curve:
        if gap <= TARGET:
            return step, seconds
    return math.inf, math.inf


def cells(label: str, curves: list[list[list[float]]], level: Level) -> list[Any]:
    """The table cells of one method, medians over seeds."""
    last = [curve[-1] for curve in curves]
    steps, seconds = (float(np.median([end[i] for end in last])) for i in (0, 1))
    least, final = float(np.median([min(gap for *_, gap in curve) for curve in curves])), [end[2] for end in last]
    arrived = [reached(curve) for curve in curves]
    count = sum(math.isfinite(step) for step, _ in arrived)
    when, ratio = f"not reached in {steps:.0f}", f"> {seconds / level.seconds:.0f}"
    if count:
        step, second = min(arrived)
        when, ratio = f"{step:.0f} ({count} of {len(curves)})", f"{second / level.seconds:.0f}"
    return [label, len(curves), int(steps), seconds, least, float(np.median(final)), when, ratio]


def table(found: list[Run], quick: bool) -> list[list[Any]]:
    """A row for each method at each resolution."""
    lines: list[list[Any]] = []
    for name in dict.fromkeys(run.pictures for run in found):
        for size, level in levels(name, plan(quick)[name][0]).items():
            here: dict[str, list[list[list[float]]]] = {}
            for run in (run for run in found if (run.pictures, run.size) == (name, size)):
                here.setdefault(run.method, []).append(run.curve)
            d, gap = level.rows.shape[1], level.solution.certificate.gap
            head = [name, size, d, level.rank]
            lines.append([*head, "closed form", 1, "", level.seconds, abs(gap), abs(gap), "", 1])
            for method in COLOURS:
                if method in here:
                    lines.append(head + cells(method, here.pop(method), level))
            if here:
                best = min(
                    here, key=lambda method: (reached(here[method][0])[1], min(row[2] for row in here[method][0]))
                )
                lines.append(head + cells(f"without noise: {best}", here[best], level))
    return lines


def figure(rows: list[list[Any]]) -> Figure:
    """The least gap of each row of the table, its time as a multiple of the closed form's above it."""
    names = list(dict.fromkeys(row[0] for row in rows))
    page = Figure(figsize=(6.6 * len(names), 4.8), layout="constrained")
    panels = page.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        exact = {int(row[1]): float(row[7]) for row in rows if row[0] == name and row[4] == "closed form"}
        for i, (label, colour) in enumerate([*COLOURS.items(), ("without noise", "C2")]):
            here = [row for row in rows if row[0] == name and row[4].partition(":")[0] == label]
            places = [list(exact).index(int(row[1])) + 0.2 * (i - 1.5) for row in here]
            gaps = [float(row[8]) for row in here]
            bars = panel.bar(places, gaps, 0.18, color=colour, label=label)
            times = [f"{float(row[7]) / exact[int(row[1])]:,.0f}x" for row in here]
            panel.bar_label(bars, times, fontsize="x-small", rotation=90, padding=2)
        panel.plot(range(len(exact)), [LOWEST] * len(exact), "k*", markersize=13, clip_on=False, zorder=3)
        panel.axhline(TARGET, color="black", linestyle=":", label=f"target {TARGET:g}")
        labels = [f"{size} px\nclosed form: {seconds:.2g} s" for size, seconds in exact.items()]
        panel.set(title=name, yscale="log", ylim=(LOWEST, 5), xticks=range(len(exact)))
        panel.set_xticklabels(labels, fontsize="small")
    panels[0].plot([], [], "k*", markersize=10, linestyle="", label="closed form: below 1e-12")
    panels[0].set_ylabel("least certified gap, median over seeds")
    page.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize="small")
    page.suptitle("How near descent-ascent comes, and in how many times the closed form's time", fontsize="medium")
    return page


def main() -> None:
    """Run what is missing, then compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")), help="a check (QUICK=1)")
    parser.add_argument("--share", type=float, default=1.0, help="of the steps of the published baseline")
    parser.add_argument("--table", action="store_true", help="of the finished runs only, without starting any")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.quick:
        forget("progressive_gda_quick")
    found: list[Run] = []
    with suppress(KeyboardInterrupt):
        for run in runs(options):
            found.append(run)
            print(*run[:-1], "last step, seconds, gap:", *(f"{value:.4g}" for value in run.curve[-1]), flush=True)
    columns = ["pictures", "size", "d", "rank", "method", "seeds", "steps", "seconds", "least gap", "final gap"]
    columns += [f"steps to gap {TARGET:g}", "time to it / closed form"]
    rows = table(found, options.quick)
    write("progressive_gda", columns, rows, __doc__ or "", options.quick, figure(rows))


if __name__ == "__main__":
    main()
