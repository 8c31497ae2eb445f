"""Faces: the closed form, progressive training from noise and from the closed form, and yardsticks.

Quality against processor seconds and steps. The judge is the squared Frechet distance of 500 generated pictures to
held-out real ones on the features of an age network (FD-age256, lower is better; `convexgan.metrics`); the last
pictures are judged by the other metrics too. "real" are training pictures against the held-out ones: what a perfect
generator scores. All methods train on the same pictures: every other ORL photograph (200, grey; the other 200 are held
out), and 18,000 of 20,000 synthetic colour faces, which a DCGAN has drawn, whose own samples "real" therefore are.

* closed form: `ProgressiveConvexGAN`, certified at every resolution; with the ranks of the paper; conditional on ten
  clusters of the pictures at 8 pixels, one certificate for all.
* PCA-Gaussian, by scikit-learn, of the rank out of RANKS that this judge likes best: no user could choose it so well.
  Factor analysis of the rank of the closed form's finest stage and a mixture of 10 Gaussians of the leading 50
  principal coordinates.
* Wiener diffusion: the probability flow with the optimal linear denoiser of the pictures' covariance, in 40 steps of
  Euler at the noise levels of Karras et al. (2022, arXiv 2206.00364, equations 4 and 5): the rival without training.
  These four see at most 4,000 pictures.
* published GDA: the baseline of `progressive_gda`, with its steps cut to SHARE of the published ones unless --full, and
  not at 64 pixels then.
* cold, warm: one and the same `ProgressiveGenerator` and convolutional discriminator, by the defaults of `grow`. Cold
  grows from noise, 4 pixels upwards, each resolution as many steps. Warm starts at the closed form and trains the
  finest resolution only, its linear stages frozen, after a head start of the discriminator (its seconds count).
  Pictures of 64 pixels take a quarter of the steps. "best" is what `convexgan train --progressive` keeps, if it is
  asked to look at the judge. What was tried for these defaults is in `training`, and
  augmentation (Zhao et al., 2020, arXiv 2006.10738: light, colours, contrast, translation) here too.

"nearer" is the share of generated pictures that are nearer to training pictures than to as many held-out ones: one
half for new pictures of the law. The photographs held out are of the same forty people.

Predicted: cold needs more than this budget to come near the closed form; warm never fails where cold does, and needs at
most half of cold's time to cold's best quality; from the closed form with the chosen ranks, training takes colour below
34 at 32 pixels, and it helps with 200 photographs. A run fails if it diverges, or ends at more than twice
its best FD.

A finished run is kept in build/faces.jsonl, and --table writes the table of those, as an interrupt (Ctrl-C) does.
Sheets of pictures go to build/faces_sheets: those of photographs stay there.

Example: OMP_NUM_THREADS=1 python -m benchmarks.faces --quick
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

import convexgan as cg
from benchmarks._faces import faces, use_tools
from benchmarks._records import BUILD, forget, recall
from benchmarks._report import RESULTS, spread, write
from benchmarks.progressive_gda import PUBLISHED, Clock, Law, published_stage
from benchmarks.progressive_gda import STEPS as PUBLISHED_STEPS
from convexgan.cli.classes import clustered
from convexgan.datasets import load, orl
from convexgan.metrics import Features, Report, evaluate, features
from convexgan.metrics.neighbours import nearest
from convexgan.plotting import contact_sheet, save_image, stage_sheet
from convexgan.progressive.pyramid import box_pyramid, to_uint8
from convexgan.torch import ConvolutionalDiscriminator, Outcome, ProgressiveGenerator, grow

Pictures = NDArray[np.uint8]
SIZES = (32, 64)
FAKES, SHOWN, FEW, SHARE, CLUSTERS = 500, 8, 4000, 0.05, 10
RANKS = (25, 50, 75, 100, 150, 200, 300, 400, 600)
JUDGE, EXTRACTOR = "FD-age256", "age256"
SHEETS = BUILD / "faces_sheets"


@dataclass(frozen=True)
class Budget:
    """What a training run may take."""

    seeds: int = 3
    width: int = 16
    discriminator: int = 16
    batch: int = 16
    steps: int = 6000
    looks: int = 8
    share: float = SHARE
    device: str = "cpu"

    def key(self) -> dict[str, Any]:
        """What a finished run depends on."""
        return {name: value for name, value in vars(self).items() if name != "seeds"}


@dataclass(frozen=True, eq=False)
class Task:
    """Pictures to train on and to hold out."""

    name: str
    train: Pictures
    held: Pictures
    public: bool = False

    @property
    def size(self) -> int:
        """Pixels along each edge."""
        return int(self.train.shape[1])

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 3 if self.train.ndim == 4 else 1

    @cached_property
    def real(self) -> Features:
        """The judge's view of the held-out pictures."""
        return features(self.held, EXTRACTOR)

    @cached_property
    def model(self) -> tuple[cg.ProgressiveConvexGAN, float]:
        """The closed form, and its processor seconds."""
        start = time.process_time()
        model = cg.ProgressiveConvexGAN().fit(self.train)
        return model, time.process_time() - start

    @cached_property
    def both(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The judge's view of as many training as held-out pictures."""
        n = min(len(self.train), len(self.held))
        order = np.random.default_rng(0).permutation(len(self.train))[:n]
        return features(self.train[np.sort(order)], EXTRACTOR).rows, self.real.rows[:n]

    def nearer(self, fakes: Pictures) -> float:
        """The share of pictures that are nearer to training pictures than to held-out ones."""
        seen = features(fakes, EXTRACTOR).rows
        trained, new = (nearest(seen, rows)[0] for rows in self.both)
        return float(np.mean(trained < new))

    def distance(self, fakes: Pictures) -> float:
        """The judge's verdict."""
        return evaluate(self.real, features(fakes, EXTRACTOR), ["frechet"], EXTRACTOR, resamples=1).results[0].value

    def report(self, fakes: Pictures) -> Report:
        """The verdicts of the other metrics."""
        seen = evaluate(self.real, features(fakes, EXTRACTOR), ["kernel", "precision-recall"], EXTRACTOR, resamples=1)
        drawn = evaluate(self.held, fakes, ["sliced", "faces"], resamples=1)
        return Report(seen.results + drawn.results)


class Watch:
    """What is kept of a run: rows (step, seconds, distance), verdicts on the last pictures, a sheet."""

    def __init__(self, task: Task, method: str, seed: int) -> None:
        self.task, self.seed = task, seed
        self.path = sheet_path(task, method)
        self.curve: list[list[float]] = []
        self.rows: list[Pictures] = []

    def look(self, step: int, seconds: float, fakes: Pictures) -> None:
        """Judge pictures made after so many steps and seconds."""
        self.curve.append([step, seconds, self.task.distance(fakes)])
        self.rows.append(fakes[:SHOWN])
        self.last = fakes

    def found(self, failed: bool = False) -> dict[str, Any]:
        """The curve, the last verdicts, and whether the run failed; the first seed's pictures are written."""
        if self.seed == 0:
            SHEETS.mkdir(parents=True, exist_ok=True)
            save_image(contact_sheet(np.concatenate(self.rows), SHOWN, scale=2), self.path.with_suffix(".png"))
            np.save(self.path, self.last[:SHOWN])
        verdicts = {result.metric: result.value for result in self.task.report(self.last).results}
        verdicts["nearer"] = self.task.nearer(self.last)
        return {"curve": self.curve, "last": verdicts, "failed": failed}


def sheet_path(task: Task, method: str) -> Path:
    """Where the last pictures of a run are kept."""
    return SHEETS / f"{task.name}-{method}.npy".replace(", ", "-").replace(" ", "_")


# -- without training ----------------------------------------------------------------------------------------------


def real(task: Task, seed: int) -> dict[str, Any]:
    """Training pictures in the place of generated ones."""
    watch = Watch(task, "real", seed)
    order = np.random.default_rng(seed).permutation(len(task.train))[:FAKES]
    watch.look(0, 0.0, task.train[np.sort(order)])
    return watch.found()


CLOSED = ("closed form", "closed form, published ranks", "closed form, ten clusters")


def closed_form(task: Task, method: str, seed: int) -> dict[str, Any]:
    """Pictures of a closed form."""
    if method == "closed form":
        model, seconds = task.model
    else:
        start = time.process_time()
        model = cg.ProgressiveConvexGAN(ranks="published" if "published" in method else None)
        model.fit(task.train, None if "published" in method else clustered(task.train, CLUSTERS, 0))
        seconds = time.process_time() - start
    watch = Watch(task, method, seed)
    watch.look(0, seconds, model.sample(FAKES, seed))
    return watch.found()


def yardstick(task: Task, method: str, seed: int) -> dict[str, Any]:
    """A model without training, of scikit-learn or of numpy."""
    rank = len(task.model[0].stages_[-1].factor)
    rows = task.train[:: max(len(task.train) // FEW, 1)].reshape(-1, task.train[0].size) / 127.5 - 1
    watch = Watch(task, method, seed)
    start = time.process_time()
    drawn, seconds = YARDSTICKS[method](rows, rank, seed), time.process_time() - start
    made = [to_uint8(pictures.reshape(-1, *task.train.shape[1:])) for pictures in drawn]
    watch.look(0, seconds / len(made), min(made, key=task.distance) if len(made) > 1 else made[0])
    return watch.found()


def pca(rows: NDArray[Any], rank: int, seed: int) -> list[NDArray[Any]]:
    """Gaussians with the leading principal components, of several ranks."""
    from sklearn.decomposition import PCA

    ranks = [rank for rank in RANKS if rank < min(rows.shape)]
    model = PCA(ranks[-1], random_state=seed).fit(rows)
    z = np.random.default_rng(seed).standard_normal((FAKES, ranks[-1])) * np.sqrt(model.explained_variance_)
    return [np.asarray(model.mean_ + z[:, :rank] @ model.components_[:rank]) for rank in ranks]


def factors(rows: NDArray[Any], rank: int, seed: int) -> list[NDArray[Any]]:
    """Factor analysis with its noise of each pixel."""
    from sklearn.decomposition import FactorAnalysis

    model = FactorAnalysis(rank, max_iter=10, tol=1.0, random_state=seed).fit(rows)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((FAKES, rows.shape[1])) * np.sqrt(model.noise_variance_)
    return [np.asarray(model.mean_ + rng.standard_normal((FAKES, rank)) @ model.components_ + noise)]


def mixture(rows: NDArray[Any], rank: int, seed: int) -> list[NDArray[Any]]:
    """Ten Gaussians of principal coordinates."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    axes = PCA(min(rank, 50), random_state=seed).fit(rows)
    model = GaussianMixture(10, reg_covar=1e-3, random_state=seed).fit(axes.transform(rows))
    return [np.asarray(axes.inverse_transform(model.sample(FAKES)[0]))]


def diffusion(rows: NDArray[Any], rank: int, seed: int) -> list[NDArray[Any]]:
    """The probability flow of the optimal linear denoiser: x moves by (s' - s) s / (l + s^2) x, l a variance."""
    mean = rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(rows - mean, full_matrices=False)
    values = sizes**2 / (len(rows) - 1)
    levels = np.append(np.linspace(80 ** (1 / 7), 0.002 ** (1 / 7), 40) ** 7, 0)
    gains = np.full(len(values), levels[0])
    for high, low in pairwise(levels):
        gains *= 1 + (low - high) * high / (values + high**2)
    z = np.random.default_rng(seed).standard_normal((FAKES, len(values)))
    return [mean + z * gains @ axes]


YARDSTICKS = {
    "PCA-Gaussian": pca,
    "factor analysis": factors,
    "Gaussian mixture": mixture,
    "Wiener diffusion": diffusion,
}


# -- training ------------------------------------------------------------------------------------------------------


def published(task: Task, budget: Budget, seed: int) -> dict[str, Any]:
    """The published baseline, each stage on the frozen one before."""
    watch = Watch(task, "published GDA", seed)
    law: Law | None = None
    done, spent = 0, 0.0
    for size, level in box_pyramid(task.train).items():
        rows = level.reshape(len(level), -1).astype(np.float64)
        mean = rows.mean(axis=0)
        seen = stage_laws(rows - mean, law, max(int(budget.share * PUBLISHED_STEPS[size]), 1), seed)
        for step, seconds, law in seen[10::10] if size == task.size else seen[-1:]:
            z = np.random.default_rng(seed).standard_normal((FAKES, len(law.factor)))
            pictures = (mean + law.mean + z @ law.factor).reshape(-1, size, size, *task.train.shape[3:])
            watch.look(done + step, spent + seconds, enlarged(to_uint8(pictures), task.size))
        done, spent, law = done + seen[-1][0], spent + seen[-1][1], seen[-1][2]
    return watch.found()


def stage_laws(rows: NDArray[Any], before: Law | None, steps: int, seed: int) -> list[tuple[int, float, Law]]:
    """(step, seconds, law) on the way through one stage."""
    seen: list[tuple[int, float, Law]] = []
    published_stage(rows, before, PUBLISHED["published"], steps, seed, lambda *row: seen.append(row))
    return seen


def enlarged(pictures: Pictures, size: int) -> Pictures:
    """Pictures enlarged by nearest neighbours."""
    factor = size // pictures.shape[1]
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


@dataclass(frozen=True)
class Variant:
    """A way to train the progressive generator.

    Attributes
    ----------
    warm : bool
        Start at the closed form and train the finest resolution only; otherwise grow from noise.
    augment : bool
        Let the discriminator see pictures in other light and moved.
    times : int
        How many times the budget's steps are taken.
    """

    warm: bool
    augment: bool = False
    times: int = 1


VARIANTS = {"cold": Variant(False), "warm": Variant(True)}
LONGER = {"warm, eight times the steps": Variant(True, times=8), "warm, augmented": Variant(True, augment=True)}


class Augmented(nn.Module):
    """A discriminator that sees pictures in other light and moved by up to an eighth, another way at each look."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """The scores, (n,)."""
        if self.training:
            n, channels = pictures.shape[:2]
            light, colour, contrast = (width * (2 * torch.rand(n, 1, 1, 1) - 1) for width in (0.3, 1.0, 0.5))
            found = pictures + light
            grey = found.mean(dim=1, keepdim=True)
            found = grey + (1 + colour) * (found - grey) if channels > 1 else found
            level = found.mean(dim=(1, 2, 3), keepdim=True)
            pictures = moved(level + (1 + contrast) * (found - level))
        scores: torch.Tensor = self.discriminator(pictures)
        return scores


def moved(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures moved by up to an eighth of their edge each way, with zeros where nothing is."""
    n, _, height, width = pictures.shape
    most = max(width // 8, 1)
    wide = nn.functional.pad(pictures, (most, most, most, most)).movedim(1, -1)
    down, right = (torch.randint(2 * most + 1, (n, 1)) for _ in range(2))
    rows, columns = down + torch.arange(height), right + torch.arange(width)
    which = (part.to(pictures.device) for part in (torch.arange(n)[:, None, None], rows[..., None], columns[:, None]))
    found: torch.Tensor = wide[tuple(which)].movedim(-1, 1)
    return found


def trained(task: Task, method: str, variant: Variant, budget: Budget, seed: int) -> dict[str, Any]:
    """The progressive generator, trained from noise or from the closed form."""
    model, before = task.model
    torch.manual_seed(seed)
    G = ProgressiveGenerator.from_model(model, width=budget.width)
    if not variant.warm:
        ranks, noises = [len(s.factor) for s in model.stages_], [len(s.fresh) for s in model.stages_]
        G, before = ProgressiveGenerator(G.sizes, G.channels, ranks, noises, width=budget.width), 0.0
    G.to(budget.device)
    watch = Watch(task, method, seed)
    sizes = G.sizes[-1:] if variant.warm else G.sizes
    steps = variant.times * budget.steps * SIZES[0] ** 2 // max(task.size, SIZES[0]) ** 2
    if variant.warm:  # this generator is there before the discriminator's head start
        watch.look(0, before, sampled(G, task.size, seed))
    clock = Clock()

    def see(step: int, stage: Any, _D: nn.Module) -> None:
        seconds = clock.pause()
        if step == steps or (stage.size == task.size and (step or not variant.warm)):
            done = steps * sizes.index(stage.size) + step
            watch.look(done, before + seconds, enlarged(sampled(G, stage.size, seed), task.size))
        clock.resume()

    def discriminator(size: int) -> nn.Module:
        made = ConvolutionalDiscriminator(size, G.channels, width=budget.discriminator)
        return Augmented(made) if variant.augment else made

    options: dict[str, Any] = {"steps": steps, "batch": budget.batch, "every": steps // budget.looks, "rng": seed}
    options |= {"callbacks": [see], "sizes": sizes, "discriminator": discriminator}
    last = grow(G, task.train, warm=variant.warm, **options)[-1]
    if last.outcome is Outcome.INTERRUPTED:
        raise KeyboardInterrupt
    distances = [row[2] for row in watch.curve]
    return watch.found(last.outcome is Outcome.DIVERGED or not distances[-1] <= 2 * min(distances))


def sampled(G: ProgressiveGenerator, size: int, seed: int) -> Pictures:
    """Pictures at one resolution."""
    random = torch.Generator().manual_seed(seed + 1)
    like = next(G.parameters())
    with torch.no_grad():
        Z = torch.randn(FAKES, G.latent_dim, generator=random).to(like)
        parts = [G(part, size).permute(0, 2, 3, 1).double().cpu().numpy() for part in Z.split(250)]
    pictures = np.concatenate(parts)
    return to_uint8(pictures if G.channels == 3 else pictures[..., 0])


# -- all of them ---------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """What is kept of a run: curve with rows (step, seconds, distance), last verdicts, failed."""

    task: Task
    method: str
    seed: int
    found: dict[str, Any]


def tasks(options: argparse.Namespace) -> list[Task]:
    """The sets of pictures."""
    found = []
    for size in (16,) if options.quick else SIZES:
        images = orl(size).images
        found.append(Task(f"ORL, {size} px", images[::2], images[1::2]))
        if not options.quick:
            drawn = faces(size)
            found.append(Task(f"synthetic, {size} px", np.asarray(drawn[2000:]), np.asarray(drawn[:2000]), public=True))
        if options.data:
            images = load(options.data, size).images
            held = max(len(images) // 10, min(len(images) // 2, 200))
            found.append(Task(f"{Path(options.data).name}, {size} px", images[held:], images[:held]))
    return found


def budget_of(options: argparse.Namespace) -> Budget:
    """A test, a processor's or a GPU's."""
    if options.quick:
        return Budget(seeds=1, width=8, discriminator=8, steps=20, looks=2, share=0.005)
    if options.full:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return Budget(width=64, discriminator=64, batch=64, steps=20_000, looks=20, share=1.0, device=device)
    return Budget()


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """Every run, made or recalled: small pictures and the first seed of all sets first, what was tried last."""
    budget = budget_of(options)
    remember = partial(recall, "faces_quick" if options.quick else "faces")
    sets = tasks(options)
    short = [task for task in sets if options.full or task.size <= SIZES[0]]  # the others take a processor hours
    for task, seed in sorted(product(sets, range(budget.seeds)), key=lambda one: (one[0].size, one[1])):
        plans: dict[str, tuple[Callable[[], dict[str, Any]], dict[str, Any]]] = {
            "real": (partial(real, task, seed), {}),
        }
        plans |= {method: (partial(closed_form, task, method, seed), {}) for method in CLOSED}
        for method, variant in VARIANTS.items():
            plans[method] = partial(trained, task, method, variant, budget, seed), vars(variant) | budget.key()
        plans |= {method: (partial(yardstick, task, method, seed), {}) for method in YARDSTICKS}
        if seed == 0 and task in short:
            plans["published GDA"] = partial(published, task, budget, seed), {"share": budget.share}
        for method, (make, settings) in plans.items():
            key = {"task": task.name, "method": method, "seed": seed} | settings
            if (known := remember(key, None if options.table else make)) is not None:
                yield Run(task, method, seed, known)
    for task, (method, variant) in product(sets, LONGER.items()):
        key = {"task": task.name, "method": method, "seed": 0} | vars(variant) | budget.key()
        make = None if options.table else partial(trained, task, method, variant, budget, 0)
        if (known := remember(key, make)) is not None:
            yield Run(task, method, 0, known)


def table(found: list[Run]) -> list[list[Any]]:
    """A row for each method on each set: medians (least to greatest) over seeds."""
    rows = []
    for task, method in dict.fromkeys((run.task, run.method) for run in found):
        mine = [run.found for run in found if (run.task, run.method) == (task, method)]
        curves = [one["curve"] for one in mine]
        best, final = [min(row[2] for row in curve) for curve in curves], [curve[-1][2] for curve in curves]
        seconds = float(np.median([curve[-1][1] for curve in curves]))
        last = [float(np.median([one["last"][name] for one in mine])) for name in mine[0]["last"] if shown(name, task)]
        failed = sum(one["failed"] for one in mine)
        head = [task.name, method, len(mine), failed, int(curves[0][-1][0]), seconds]
        rows.append([*head, spread(best), spread(final), *last])
    return rows


def shown(metric: str, task: Task) -> bool:
    """Whether a metric is a column: of the sliced distances that at the finest size."""
    return not metric.startswith("sliced") or metric.endswith(f" {task.size}")


def reached(curve: list[list[float]], target: float) -> tuple[float, float]:
    """The first step and second with at most this distance; infinite if there is none."""
    return next(((step, seconds) for step, seconds, distance in curve if distance <= target), (math.inf, math.inf))


def answers(found: list[Run]) -> str:
    """For each set and seed: when cold is best, and when warm and its variants are as good."""
    lines = []
    curves = {(run.task, run.method, run.seed): run.found["curve"] for run in found}
    for (task, method, seed), curve in curves.items():
        if method != "cold":
            continue
        step, seconds, best = min(curve, key=lambda row: row[2])
        line = f"* {task.name}, seed {seed}: cold is best at step {step:.0f} ({seconds:.0f} s) with {best:.3g};"
        for other in ("warm", *LONGER):
            if (task, other, seed) in curves:
                at, when = reached(curves[task, other, seed], best)
                took = f"at step {at:.0f}, {when:.0f} s, ratio {when / seconds:.2g}" if at < math.inf else "never"
                line += f" {other} is as good {took};"
        lines.append(line.rstrip(";") + ".")
    return "\n".join(lines)


def figure(found: list[Run]) -> Figure:
    """Quality over processor seconds, a panel for each set."""
    names, methods = (list(dict.fromkeys(found)) for found in zip(*((r.task, r.method) for r in found), strict=True))
    rows = -(-len(names) // 2)
    page = Figure(figsize=(11, 1 + 4 * rows), layout="constrained")
    for panel, task in zip(page.subplots(rows, 2, squeeze=False).flat, names, strict=False):
        here = [run for run in found if run.task is task]
        for method in dict.fromkeys(run.method for run in here):
            i = methods.index(method)
            for run in (run for run in here if run.method == method):
                _, seconds, distances = np.array(run.found["curve"]).T
                label = method if run.seed == 0 else None
                if method == "real":
                    panel.axhline(distances[0], color="gray", linestyle=":", label=label)
                    continue
                style = {"marker": "."} if len(seconds) > 1 else {"marker": "*", "linestyle": ""}
                if method in LONGER:
                    style |= {"linewidth": 0.5}
                panel.plot(np.maximum(seconds, 0.1), distances, color=colormaps["tab20"](i), label=label, **style)
        panel.set(title=task.name, xlabel="processor seconds", ylabel=JUDGE, xscale="log", yscale="log")
        panel.tick_params(axis="x", which="minor", labelbottom=False)
    handles = {
        label: handle for panel in page.axes for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    page.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, fontsize="x-small")
    return page


def sheet(found: list[Run]) -> None:
    """The last pictures of every method on public sets, a row each; the stages of the closed form on the largest."""
    for task in dict.fromkeys(run.task for run in found if run.task.public):
        methods = [m for m in dict.fromkeys(run.method for run in found if run.task is task) if m not in LONGER]
        rows = [(method, np.load(sheet_path(task, method))) for method in methods]
        pictures = np.concatenate([drawn for _, drawn in rows])
        image = contact_sheet(pictures, SHOWN, [method for method, _ in rows], scale=max(1, 64 // task.size))
        save_image(image, RESULTS / f"faces_{task.size}.png")
        beside_nearest(task, [method for method in ("closed form", "warm") if method in methods])
    model = max((run.task for run in found if run.task.public), key=lambda task: task.size).model[0]
    stages = model.sample_stages(SHOWN, 1)
    save_image(stage_sheet(stages, [f"{stage.shape[1]} px" for stage in stages]), RESULTS / "faces_stages.png")


def beside_nearest(task: Task, methods: list[str]) -> None:
    """A sheet of generated pictures, the judge's nearest training picture under each."""
    seen, labels, parts = features(task.train, EXTRACTOR).rows, [], []
    for method in methods:
        drawn = np.load(sheet_path(task, method))
        indices = nearest(features(drawn, EXTRACTOR).rows, seen)[1]
        parts += [drawn, task.train[indices]]
        labels += [method, "nearest in training"]
    image = contact_sheet(np.concatenate(parts), SHOWN, labels, scale=max(1, 64 // task.size))
    save_image(image, RESULTS / f"faces_nearest_{task.size}.png")


def main() -> None:
    """Run what is missing, then compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")), help="a check (QUICK=1)")
    parser.add_argument("--full", action="store_true", help="large networks and all steps: for a GPU")
    parser.add_argument("--table", action="store_true", help="of the finished runs only, without starting any")
    parser.add_argument("--data", help="a folder, archive or array file of faces, CelebA say, as a further set")
    options = parser.parse_args()
    torch.set_num_threads(1)
    use_tools()
    if options.quick:
        forget("faces_quick")
    found: list[Run] = []
    with suppress(KeyboardInterrupt):
        for run in runs(options):
            found.append(run)
            print(run.task.name, run.method, run.seed, *(f"{x:.4g}" for x in run.found["curve"][-1]), flush=True)
    columns = ["pictures", "method", "seeds", "failed", "steps", "seconds", f"best {JUDGE}", f"final {JUDGE}"]
    columns += ["KD-age256", "precision", "recall", "sliced W1", "faces", "nearer"]
    text = f"{__doc__}\n{answers(found)}"
    write("faces", columns, table(found), text, options.quick, figure(found))
    if not options.quick:
        sheet(found)


if __name__ == "__main__":
    main()
