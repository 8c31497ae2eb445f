"""Do fixed latent-picture pairs speed up the training of small Wasserstein GANs, and do they cost quality?

Luzi, Dar and Baraniuk (arXiv 2106.04003) report that such pseudo-supervision accelerates training. Predicted from the
linear case (`adversarial_linear`): faster, and worse where the latents are few for the pairs.

Critic with gradient penalty, three steps to one of the generator; the generator's loss has the term
weight * mean (G(z_i) - x_i)^2 per pixel in [-1, 1], over batches of the fixed pairs. Half of the pictures train, the
other half measures: squared Frechet distance of as many generated pictures to the held-out half, on named features;
the floor is that of two halves of the real pictures, with the 5 % and 95 % quantiles of 200 splits. Features of the
digits: 32 ReLU units of a perceptron trained on the training half's labels; of the ORL faces (16 x 16 pixels): 20
principal coordinates of the training half's pixels.

Every setting has three seeds: median (least to greatest). A run without pairs and one with them start from the same
networks. "Final" is the geometric mean over the last three checkpoints, which are a factor sqrt 2 apart; the target is
1.5 times the median final distance without pairs, and "speed-up" how many times sooner than without pairs a run first
reaches it (0: never). Ratios are to the run without pairs of the same seed; "on the way" is the geometric mean over
all checkpoints. "Misfit": of the pairs in the end, mean square per pixel. The last rows have 95 % t-intervals
of the mean log ratio over all settings of that weight, each setting the mean of its seeds.

A finished run is kept in build/pseudo_supervised_gans.csv, and not repeated: remove that file to start afresh.

Example: python -m benchmarks.pseudo_supervised_gans --quick
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import t as student
from torch import nn

from benchmarks._report import RESULTS, parse, spread, write
from convexgan._tools.files import write_bytes
from convexgan.datasets import digits, orl
from convexgan.gaussian import squared_wasserstein

SEEDS, BATCH, CRITIC_STEPS, WEIGHT = range(3), 64, 3, 10.0
CHECKPOINTS = [25, 35, 50, 71, 100, 141, 200, 283, 400, 566, 800]
BUILD = Path(__file__).parent.parent / "build"
COLUMNS = ["data", "network", "k", "pairs", "weight", "seed", "steps", "iteration", "frechet", "misfit"]


@dataclass(frozen=True)
class Task:
    """Pictures in [-1, 1] to train on and to hold out, and features of pictures."""

    train: np.ndarray
    held: np.ndarray
    features: Callable[[np.ndarray], np.ndarray]

    def distance(self, pictures: np.ndarray, others: np.ndarray) -> float:
        """The squared Frechet distance of the features."""
        A, B = self.features(pictures), self.features(others)
        return squared_wasserstein(np.cov(A.T), np.cov(B.T), A.mean(0), B.mean(0))

    def floor(self) -> tuple[float, float, float]:
        """The distance of real halves: median, 5 % and 95 % quantiles."""
        everything, rng = np.concatenate([self.train, self.held]), np.random.default_rng(1)
        orders = [rng.permutation(len(everything)) for _ in range(200)]
        n = len(self.train)
        found = [self.distance(everything[order[:n]], everything[order[n:]]) for order in orders]
        return tuple(float(each) for each in np.quantile(found, [0.5, 0.05, 0.95]))


def digits_task() -> Task:
    """The digits, seen by a classifier of them."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    pictures, labels = digits().images / 127.5 - 1, load_digits().target
    order = np.random.default_rng(0).permutation(len(pictures))
    train, held = order[: len(order) // 2], order[len(order) // 2 :]
    flat = pictures.reshape(len(pictures), -1)
    model = MLPClassifier((32,), max_iter=500, random_state=0).fit(flat[train], labels[train])
    print(f"digits: the classifier is right on {model.score(flat[held], labels[held]):.1%} of the held-out half")

    def features(rows: np.ndarray) -> np.ndarray:
        return np.maximum(rows.reshape(len(rows), -1) @ model.coefs_[0] + model.intercepts_[0], 0)

    return Task(pictures[train], pictures[held], features)


def orl_task() -> Task:
    """The faces, every other photograph of each person, seen by principal coordinates."""
    pictures = orl(16).images / 127.5 - 1
    train, held = pictures[::2], pictures[1::2]
    return Task(train, held, principal_coordinates(train))


def principal_coordinates(train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What takes pictures to their first 20 principal coordinates, those of the training pictures."""
    flat = train.reshape(len(train), -1)
    axes = np.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][:20]
    return lambda rows: rows.reshape(len(rows), -1) @ axes.T


def perceptrons(k: int, size: int) -> tuple[nn.Module, nn.Module]:
    """Generator and critic of two hidden layers."""
    generator = [nn.Linear(k, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, size**2), nn.Tanh()]
    critic = [nn.Linear(size**2, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1)]
    return nn.Sequential(*generator, nn.Unflatten(1, (1, size, size))), nn.Sequential(nn.Flatten(), *critic)


def convolutions(k: int, size: int) -> tuple[nn.Module, nn.Module]:
    """Generator and critic of two convolutions, each doubling or halving the resolution."""
    low = size // 4
    generator = [nn.Linear(k, 32 * low**2), nn.ReLU(), nn.Unflatten(1, (32, low, low)), nn.Upsample(scale_factor=2)]
    generator += [nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2)]
    generator += [nn.Conv2d(16, 1, 3, padding=1), nn.Tanh()]
    critic = [nn.Conv2d(1, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*generator), nn.Sequential(*critic, nn.Flatten(), nn.Linear(32 * low**2, 1))


TASKS = {"digits": digits_task, "orl": orl_task}
NETWORKS = {"perceptron": perceptrons, "convolutional": convolutions}


@dataclass(frozen=True)
class Run:
    """One training."""

    data: str
    network: str
    k: int
    pairs: float
    weight: float
    seed: int
    steps: int

    def key(self) -> list[str]:
        """As in the file."""
        return [str(value) for value in vars(self).values()]


def plan(quick: bool) -> list[Run]:
    """All runs; those of one setting are neighbours."""
    if quick:
        return [Run("digits", "perceptron", k, pairs, WEIGHT, 0, 50) for k in (4, 8) for pairs in (0.0, 1.0)]
    settings: list[tuple[Any, ...]] = []
    for data in TASKS:
        settings += [(data, "perceptron", k, pairs, WEIGHT, 800) for k in (4, 16, 64) for pairs in (0.0, 0.1, 1.0)]
        settings += [(data, "convolutional", k, pairs, WEIGHT, 400) for k in (4, 64) for pairs in (0.0, 1.0)]
    settings += [("digits", "perceptron", 16, 1.0, weight, 800) for weight in (1.0, 100.0)]
    return [Run(*setting[:5], seed, setting[5]) for setting in settings for seed in SEEDS]


def gradient_penalty(critic: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """mean (|gradient| - 1)^2 between real and generated pictures."""
    share = torch.rand(len(real), 1, 1, 1)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def train(run: Run, task: Task) -> Iterator[tuple[int, float, float]]:
    """(iteration, distance, misfit of the pairs) at each checkpoint."""
    torch.manual_seed(run.seed)
    generator, critic = NETWORKS[run.network](run.k, task.train.shape[1])
    pictures = torch.tensor(task.train, dtype=torch.float32)[:, None]
    test, latents = torch.randn(len(task.held), run.k), torch.randn(len(pictures), run.k)
    order = torch.randperm(len(pictures))
    m = round(run.pairs * len(pictures))
    latents, targets = latents[:m], pictures[order[:m]]
    ascend, descend = (torch.optim.Adam(net.parameters(), 1e-3, betas=(0.0, 0.9)) for net in (critic, generator))
    for iteration in range(1, run.steps + 1):
        for _ in range(CRITIC_STEPS):
            real = pictures[torch.randint(len(pictures), (BATCH,))]
            fake = generator(torch.randn(BATCH, run.k)).detach()
            loss = critic(fake).mean() - critic(real).mean() + gradient_penalty(critic, real, fake)
            ascend.zero_grad()
            loss.backward()
            ascend.step()
        loss = -critic(generator(torch.randn(BATCH, run.k))).mean()
        if m:
            chosen = torch.randint(m, (BATCH,))
            loss = loss + run.weight * ((generator(latents[chosen]) - targets[chosen]) ** 2).mean()
        descend.zero_grad()
        loss.backward()
        descend.step()
        if iteration in CHECKPOINTS:
            with torch.no_grad():
                made = generator(test)[:, 0].double().numpy()
                misfit = float(((generator(latents) - targets) ** 2).mean()) if m else float("nan")
            yield iteration, task.distance(made, task.held), misfit


def recorded(path: Path) -> dict[tuple[str, ...], list[list[str]]]:
    """Finished runs: their key and their rows."""
    done: dict[tuple[str, ...], list[list[str]]] = {}
    if path.exists():
        for row in list(csv.reader(io.StringIO(path.read_text())))[1:]:
            done.setdefault(tuple(row[:7]), []).append(row)
    return done


def curves(runs: list[Run], tasks: dict[str, Task], path: Path) -> dict[Run, np.ndarray]:
    """(checkpoints, 3) of each run: iteration, distance, misfit; what is not in the file is trained and added."""
    done = recorded(path)
    for number, run in enumerate(runs):
        if tuple(run.key()) not in done:
            done[tuple(run.key())] = [[*run.key(), *map(str, point)] for point in train(run, tasks[run.data])]
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([COLUMNS, *(row for rows in done.values() for row in rows)])
            path.parent.mkdir(exist_ok=True)
            write_bytes(path, text.getvalue().encode())
            print(f"{number + 1} of {len(runs)}: {', '.join(run.key())}: {done[tuple(run.key())][-1][8]}", flush=True)
    return {run: np.array(done[tuple(run.key())])[:, 7:].astype(float) for run in runs}


def final(curve: np.ndarray) -> float:
    """The geometric mean of the last three distances."""
    return float(np.exp(np.log(curve[-3:, 1]).mean()))


def reached(curve: np.ndarray, target: float) -> float:
    """The first iteration with a distance at most the target."""
    return float(np.min(curve[curve[:, 1] <= target, 0], initial=np.inf))


def interval(ratios: list[list[float]]) -> str:
    """Geometric mean over settings (each that of its seeds) and its 95 % t-interval; without those never reached."""
    logs = np.array([np.mean(np.log(seeds)) for seeds in ratios if all(ratio > 0 for ratio in seeds)])
    half = student.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    mean, low, high = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
    missing = len(ratios) - len(logs)
    return f"{mean:.3g} ({low:.3g} to {high:.3g})" + (f", {missing} of {len(ratios)} left out" if missing else "")


def compared(curve: np.ndarray, plain: np.ndarray, target: float) -> tuple[float, float, float]:
    """How many times sooner than without pairs; the ratio of distances on the way, and in the end."""
    on_the_way = float(np.exp(np.log(curve[:, 1] / plain[:, 1]).mean()))
    mine, theirs = reached(curve, target), reached(plain, target)
    sooner = theirs / mine if np.isfinite(mine) else (0.0 if np.isfinite(theirs) else np.nan)
    return sooner, on_the_way, final(curve) / final(plain)


def table(found: dict[Run, np.ndarray]) -> list[list[object]]:
    """A row for each setting, and the ratios over all settings."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in found:
        groups.setdefault((run.data, run.network, run.k, run.pairs, run.weight), []).append(run)
    rows: list[list[object]] = []
    overall: dict[float, list[list[tuple[float, float, float]]]] = {}
    for (data, network, k, pairs, weight), runs in groups.items():
        plain = next(group for key, group in groups.items() if key[:4] == (data, network, k, 0.0))
        target = 1.5 * float(np.median([final(found[run]) for run in plain]))
        times = [reached(found[run], target) for run in runs]
        rows.append([data, network, k, pairs, "", spread([final(found[run]) for run in runs]), f"{np.median(times):g}"])
        if not pairs:
            rows[-1] += [""] * 4
            continue
        ratios = [compared(found[mine], found[other], target) for mine, other in zip(runs, plain, strict=True)]
        if weight == WEIGHT:
            overall.setdefault(pairs, []).append(ratios)
        misfit = float(np.median([found[run][-1, 2] for run in runs]))
        rows[-1][4:5] = [weight]
        rows[-1] += [*(spread(list(each)) for each in zip(*ratios, strict=True)), misfit]
    for pairs, settings in overall.items():
        each = [interval([[ratios[i] for ratios in setting] for setting in settings]) for i in range(3)]
        rows.append([f"all {len(settings)}", "", "", pairs, WEIGHT, "", "", *each, ""])
    return rows


def figure(found: dict[Run, np.ndarray], floors: dict[str, float]) -> None:
    """Distances over iterations: median and range of the seeds, a panel for each data set, network and k."""
    page = Figure(figsize=(14, 6.4), layout="constrained")
    places = list(dict.fromkeys((run.network, run.k) for run in found))
    panels = page.subplots(len(floors), len(places), sharey="row")
    for row, (data, floor) in zip(panels, floors.items(), strict=True):
        for panel, (network, k) in zip(row, places, strict=True):
            for pairs, colour in ((0.0, "C0"), (0.1, "C1"), (1.0, "C2")):
                mine = [
                    found[run]
                    for run in found
                    if (run.data, run.network, run.k, run.pairs, run.weight) == (data, network, k, pairs, WEIGHT)
                ]
                if mine:
                    distances, x = np.stack([curve[:, 1] for curve in mine]), mine[0][:, 0]
                    panel.loglog(x, np.median(distances, axis=0), color=colour, label=f"{pairs:.0%} paired")
                    panel.fill_between(x, distances.min(0), distances.max(0), color=colour, alpha=0.15, linewidth=0)
            panel.axhline(floor, color="black", linestyle="--", linewidth=1, label="real against real")
            panel.set_title(f"{data}, {network}, k = {k}", fontsize="medium")
            panel.set(xlabel="iterations")
            panel.set_xticks([25, 100, 400], ["25", "100", "400"])
            panel.set_xlim(23, 850)
            panel.tick_params(axis="x", which="minor", labelbottom=False)
        row[0].set(ylabel="squared Frechet distance")
    handles = panels[0][0].get_legend_handles_labels()
    page.legend(*handles, loc="outside lower center", ncols=4, fontsize="large")
    page.suptitle(
        "median and range of three seeds; the convolutional nets were trained for 400 iterations, without 10 % pairs"
    )
    page.savefig(RESULTS / "pseudo_supervised_gans.png", dpi=150)


def main() -> None:
    """Train what is missing, then compare."""
    options = parse(__doc__)
    runs = plan(options.quick)
    path = BUILD / f"pseudo_supervised_gans{'_quick' if options.quick else ''}.csv"
    if options.quick:
        path.unlink(missing_ok=True)
    tasks = {name: make() for name, make in TASKS.items() if any(run.data == name for run in runs)}
    floors = {name: task.floor() for name, task in tasks.items()}
    text = ", ".join(f"{name} {mid:.3g} ({low:.3g} to {high:.3g})" for name, (mid, low, high) in floors.items())
    found = curves(runs, tasks, path)
    columns = ["data", "network", "k", "pairs", "weight", "final distance", "iterations to target", "speed-up"]
    columns += ["distance on the way, ratio", "final distance, ratio", "misfit"]
    about = f"{__doc__}\nReal against real: {text}. torch {torch.__version__}."
    if not options.quick:
        figure(found, {name: floor[0] for name, floor in floors.items()})
    write("pseudo_supervised_gans", columns, table(found), about, options.quick)


if __name__ == "__main__":
    main()
