"""Every method of the descent-ascent family on every problem of `convexgan.problems`, beside the exact solution.

A run starts from random players and is measured against the exact best response from time to time, whenever it has
become a tenth longer. It has arrived when its error (the larger of the relative gap to the certified optimum and of
the relative violation; the distance to the solution in games of two numbers) is at most 1e-3.

Every method may spend as many gradients of the payoff on a run as any other: a gradient of one or both players at a
point counts as one, a second derivative as two. So a step of "unrolled, 5" costs as much as 16 of "simultaneous". The
step size is tuned for each problem and method: on the first seed with a third of the budget, .1, .03, .01 and .003 for
the generator, and as much or ten times as much for the discriminator; the best one then runs on all seeds.

Seconds are processor seconds of one thread, which a busy machine does not lengthen much; neither the search for the
step size nor the measurements are counted, which favours gradients. "Exact" is `solve` with its certificate, the
shortest of three. "GDA" is the best of the four plain methods (simultaneous, alternating, with Adam, averaged), and
"rival" the best of the others. "Not reached in N steps" is an answer too: the median error then left is shown.

Predicted: extragradient and optimistic steps arrive where simultaneous ones circle, at some ten times the steps of a
quadratic problem's condition; none arrives at the quadratic problems with too few neurons, where there is no saddle
point; the exact solver is 10 to 1000 times faster.

A method of your own is a function (game, state, rates) -> state:

Example: python -m benchmarks.optimizers --method mypackage.mymodule:step --quick
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import convexgan as cg
from benchmarks._report import write
from convexgan.problems import GANProblem
from convexgan.updates import (
    DifferentiableGame,
    adam,
    alternating,
    average,
    consensus,
    extragradient,
    generative_minimization,
    optimistic,
    simultaneous,
    unrolled,
)

Step = Callable[..., Any]
Found = dict[str, Any]
ARRIVED = 1e-3
LOST = 1e6  # distance from the solution at which a run is given up
RATES = [(rate, ratio * rate) for ratio in (1, 10) for rate in (0.1, 0.03, 0.01, 0.003)]
PLAIN: dict[str, Step] = {
    "simultaneous": simultaneous,
    "alternating": alternating,
    "alternating, Adam": partial(alternating, transform=partial(adam, betas=(0.5, 0.9))),
    "alternating, averaged": alternating,
}
RIVALS: dict[str, Step] = {
    "extragradient": extragradient,
    "optimistic": optimistic,
    "consensus": partial(consensus, weight=0.1),
    "unrolled, 5": partial(unrolled, depth=5),
    "duality gap, 5": partial(generative_minimization, depth=5),
}
MARKERS = "os^v<>DPX"
BEST = ["arrived", "rates", "steps", "seconds", "times exact"]
COLUMNS = ["problem", "optimum", "exact seconds", "GDA", *BEST, "rival", *BEST]
ALL_COLUMNS = ["problem", "method", *BEST[:-1], "gradients", "median last error", "median last distance"]


class Counted(DifferentiableGame):
    """A game that counts the gradients it is asked for: one for each point, two for second derivatives."""

    def __init__(self, game: DifferentiableGame) -> None:
        self.game, self.count = game, 0

    def grad_x(self, x: Any, y: Any) -> Any:
        """The minimiser's gradient."""
        self.count += 1
        return self.game.grad_x(x, y)

    def grad_y(self, x: Any, y: Any) -> Any:
        """The maximiser's gradient."""
        self.count += 1
        return self.game.grad_y(x, y)

    def gradients(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Both, from one payoff."""
        self.count += 1
        return self.game.gradients(x, y)

    def vjp(self, x: Any, y: Any, u: Any, v: Any) -> tuple[Any, Any]:
        """The derivative of the gradients."""
        self.count += 2
        return self.game.vjp(x, y, u, v)

    def projected(self, y: Any) -> Any:
        """The maximiser where it may be."""
        return self.game.projected(y)


def run(name: str, method: str, step: Step, rates: tuple[float, float], seed: int, budget: int) -> Found:
    """One run until it arrives, is lost, or has spent its gradients; its curve: gradients, error, distance."""
    problem = cg.problems.load(name)
    game, state, mean = Counted(problem.game()), problem.start(seed), None
    found = problem.measure(state)
    seconds, steps, look, curve = 0.0, 0, 10, [(0, found.error, found.distance)]
    while game.count < budget and found.error > ARRIVED and found.distance < LOST:
        start = time.process_time()
        while game.count < min(look, budget):
            state, steps = problem.project(step(game, state, rates)), steps + 1
            if method.endswith("averaged"):
                mean = average(mean, state)
        seconds += time.process_time() - start
        look = math.ceil(1.1 * game.count)
        found = problem.measure(state if mean is None else state._replace(x=mean.x, y=mean.y))
        curve.append((game.count, found.error, found.distance))
    arrived = found.error <= ARRIVED
    return {"arrived": arrived, "rates": rates, "steps": steps, "seconds": seconds, "curve": curve}


def tuned(name: str, method: str, step: Step, seeds: int, budget: int) -> list[Found]:
    """The runs from all seeds with the best step size of a method."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        best = min((run(name, method, step, rates, 0, budget // 3) for rates in RATES), key=merit)
        return [run(name, method, step, best["rates"], seed, budget) for seed in range(seeds)]


def merit(found: Found) -> tuple[bool, float]:
    """Runs that arrived come first, by their gradients; then the others by the smallest error seen, lost ones last."""
    if found["arrived"]:
        return False, found["curve"][-1][0]
    lost = not found["curve"][-1][2] < LOST
    return True, math.inf if lost else min(error for _, error, _ in found["curve"])


def summary(runs: list[Found]) -> Found:
    """Medians over the runs that arrived, or over all of them if none did."""
    arrived = [found for found in runs if found["arrived"]]
    steps, seconds = (statistics.median(found[key] for found in arrived or runs) for key in ("steps", "seconds"))
    gradients, errors, distances = np.median([found["curve"][-1] for found in runs], axis=0)
    return {
        "arrived": len(arrived),
        "text": f"{len(arrived)} of {len(runs)}",
        "rates": ", ".join(f"{rate:g}" for rate in runs[0]["rates"]),
        "steps": int(steps) if arrived else f"not reached in {int(steps)}",
        "seconds": seconds,
        "gradients": int(gradients),
        "error": float(errors),
        "distance": float(distances),
    }


def exact(name: str) -> float:
    """Processor seconds of the exact solution, the shortest of three; NaN where there is nothing to solve."""
    times = []
    with threadpool_limits(1):
        for _ in range(3):
            problem = cg.problems.load(name)
            if not isinstance(problem, GANProblem):
                return math.nan
            start = time.process_time()
            _ = problem.value
            times.append(time.process_time() - start)
    return min(times)


def best(methods: dict[str, Found], names: Iterable[str], exact_seconds: float) -> list[Any]:
    """The cells of the best of some methods: most arrivals, then least seconds; the smallest error if none arrived."""

    def order(name: str) -> tuple[float, float]:
        found = methods[name]
        return -found["arrived"], found["seconds"] if found["arrived"] else found["error"]

    name = min(names, key=order)
    found = methods[name]
    cells = [name, found["text"], found["rates"], found["steps"]]
    if not found["arrived"]:
        return [*cells, f"error {found['error']:.2g}", ""]
    return [*cells, found["seconds"], "" if math.isnan(exact_seconds) else found["seconds"] / exact_seconds]


def draw_times(table: dict[str, dict[str, Found]], exact_seconds: dict[str, float]) -> Figure:
    """Processor seconds on each problem: the exact solution, and each method that arrived, none hidden by another."""
    figure = Figure(figsize=(10, 0.46 * len(table) + 2), layout="constrained")
    panel = figure.subplots()
    for k, name in enumerate(table):
        panel.plot(exact_seconds[name], k, "k*", markersize=11, label="exact (solve)" if k == 0 else None)
        for i, (method, found) in enumerate(table[name].items()):
            seconds, height = (
                found["seconds"] if found["arrived"] else math.nan,
                k + 0.08 * (i - len(MARKERS) / 2 + 0.5),
            )
            panel.plot(seconds, height, MARKERS[i % 9], color=f"C{i}", label=method if k == 0 else None, markersize=6)
        said = ["not reached by any"] * (not any(found["arrived"] for found in table[name].values()))
        said += ["no star: nothing to solve"] * math.isnan(exact_seconds[name])
        place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "center", "fontsize": "x-small"}
        panel.annotate(", ".join(said), (0.99, k), **place, color="dimgray")
        if k:
            panel.axhline(k - 0.5, color="black", alpha=0.12, linewidth=0.8)
    panel.set(xscale="log", xlabel="processor seconds to an error of 1e-3 from the certified optimum")
    panel.set(yticks=range(len(table)), yticklabels=list(table), ylim=(len(table) - 0.5, -0.5))
    panel.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    return figure


def draw_curves(table: dict[str, dict[str, Found]]) -> Figure:
    """Error against gradients of each method at its best step size, first seed, a panel for each problem."""
    columns = 3
    rows = -(-len(table) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (name, methods) in zip(axes, table.items(), strict=False):
        for i, (method, found) in enumerate(methods.items()):
            gradients, errors = np.array([point[:2] for point in found["curve"][1:]], dtype=float).T
            ax.loglog(gradients, np.where(np.isfinite(errors), errors, np.nan), label=method, color=f"C{i}", lw=1)
        ax.axhline(ARRIVED, color="black", lw=0.6, ls=":")
        ax.set(title=name, xlabel="gradients", ylabel="error", ylim=(1e-4, 1e3))
        if not np.isfinite(np.concatenate([line.get_ydata() for line in ax.get_lines()[:-1]])).any():
            text = "no solution to be near:\nthe error is infinite everywhere"
            ax.annotate(text, (0.5, 0.6), xycoords="axes fraction", ha="center", va="center")
            ax.set(xlim=(10, 4000))
    for ax in axes[len(table) :]:
        ax.axis("off")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize="small")
    return figure


def imported(path: str) -> Step:
    """The function named module:function."""
    module, _, name = path.partition(":")
    if not name:
        raise SystemExit(f"--method {path!r} must be module:function.")
    found: Step = getattr(importlib.import_module(module), name)
    return found


def finished(path: Path, settings: list[Any]) -> dict[str, list[Found]]:
    """What an earlier call with the same settings has written down, by problem and method."""
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))
    return {found["key"]: found["runs"] for found in lines if found["settings"] == settings}


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", help="module:function, judged beside ours")
    parser.add_argument("--problems", nargs="+", default=list(cg.problems.list()), help="names; a table of all is kept")
    parser.add_argument("--budget", type=int, default=4000, help="gradients of a run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument(
        "--runs", type=Path, default=Path("build/optimizers.jsonl"), help="kept, so that a kill costs little"
    )
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")))
    options = parser.parse_args()
    if options.quick:
        options.budget, options.seeds = 200, 1
        options.problems = ["quadratic-critical-width", "relu-toy", "bilinear"]
    return options


def main() -> None:
    """Run what an earlier call has not, and report."""
    options = read_options()
    methods = PLAIN | RIVALS | ({options.method: imported(options.method)} if options.method else {})
    settings = [options.budget, options.seeds, [list(rates) for rates in RATES]]
    options.runs.parent.mkdir(parents=True, exist_ok=True)
    done = {} if options.quick else finished(options.runs, settings)
    with ProcessPoolExecutor(options.jobs) as pool, options.runs.open("a") as log:
        waiting = {}
        for name in options.problems:
            for method, step in methods.items():
                if (key := f"{name}|{method}") not in done:
                    waiting[pool.submit(tuned, name, method, step, options.seeds, options.budget)] = key
        try:
            for i, future in enumerate(as_completed(waiting)):
                key = waiting[future]
                done[key] = future.result()
                log.write(json.dumps({"key": key, "settings": settings, "runs": done[key]}) + "\n")
                log.flush()
                print(f"\r{i + 1} of {len(waiting)}", end="", file=sys.stderr)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the rest would run first
            raise
    table = {
        name: {m: summary(done[f"{name}|{m}"]) | {"curve": done[f"{name}|{m}"][0]["curve"]} for m in methods}
        for name in options.problems
    }
    ours = methods.keys() == (PLAIN | RIVALS).keys() and table.keys() == set(cg.problems.list())
    report(table, [name for name in methods if name not in PLAIN], options.quick or not ours)


def report(table: dict[str, dict[str, Found]], rivals: list[str], quick: bool) -> None:
    """Both tables and figures."""
    keys = ("text", "rates", "steps", "seconds", "gradients", "error", "distance")
    everything = [
        [name, method, *(found[key] for key in keys)]
        for name, methods in table.items()
        for method, found in methods.items()
    ]
    write("optimizers_all", ALL_COLUMNS, everything, __doc__ or "", quick, draw_curves(table))
    seconds = {name: exact(name) for name in table}
    rows = []
    for name, methods in table.items():
        cells = [best(methods, group, seconds[name]) for group in (PLAIN, rivals)]
        shown = "" if math.isnan(seconds[name]) else seconds[name]
        rows.append([name, cg.problems.load(name).kind, shown, *cells[0], *cells[1]])
    write("optimizers", COLUMNS, rows, __doc__ or "", quick, draw_times(table, seconds))


if __name__ == "__main__":
    main()
