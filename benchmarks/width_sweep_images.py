"""Does a wider DCGAN make better pictures, and sooner? Pairs of networks of base width k on pictures.

Balaji et al. (arXiv 2104.05605) report both for CIFAR-10 and CelebA. Predicted from the generators that match a mean
(`gda_predictions`): too narrow generators fail, wider ones need fewer steps, and from some width on nothing is gained.

The generator doubles a picture's edge by transposed convolutions with batch normalisation, of k channels before the
last and twice as many in each layer before (Radford et al., arXiv 1511.06434); the critic mirrors it without
normalisation. The game is Wasserstein with gradient penalty 10, alternating Adam steps (0.5, 0.9), batches of 64. The
critic is "as wide" as the generator, or "exact": the polynomial discriminator, solved in every step
(`ExactDiscriminatorLoss`, batches of 256), which sees means and second moments only; with --full also "fixed" at the
third of the widths.

Half of the pictures train. Quality is the squared Frechet distance of as many generated pictures to the other half, on
named features: "digits-perceptron32", 32 ReLU units of a perceptron trained on the training half's labels; with --full
age256, of 10,000 colour faces of 32 x 32 pixels drawn from the DCGAN of gan-face-generate (not photographs). The floor
is that of real pictures against real ones.

Every width is trained at every learning rate with three seeds, and shown at the rate whose median final distance is
least. "Final" is the geometric mean over the last three looks. The threshold is 1.5 times the least median final
distance of any width with the same pictures and critic; steps are counted to the first look at or below it.

--full trains the colour faces, on a GPU where there is one, and needs build/tools (`make build/tools`). --data PATH
trains anybody's pictures at 32 x 32, 20,000 at most, seen as averages of 8 x 8 pixels: CIFAR-10's folder or CelebA, the
paper's own sets, which were not at hand. A finished run is a line of build/width_sweep_images/runs.jsonl and is not
repeated; the one under way goes on from its checkpoint.

Example: python -m benchmarks.width_sweep_images --quick
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from benchmarks._report import write
from benchmarks.pseudo_supervised_gans import digits_task
from convexgan.datasets import load
from convexgan.metrics import Extractor, Result, frechet_distance
from convexgan.metrics.extractors import age256, pixels
from convexgan.torch import ExactDiscriminatorLoss, Objective, train
from convexgan.updates import adam, alternating

BUILD = Path(__file__).parents[1] / "build" / "width_sweep_images"
LATENTS, SEEDS, LOOKS = 64, 3, 20
STEP = partial(alternating, transform=partial(adam, betas=(0.5, 0.9)))


@dataclass(frozen=True)
class Plan:
    """The grid of runs of one set of pictures."""

    widths: tuple[int, ...]
    rates: tuple[float, ...]
    steps: int
    critics: tuple[str, ...] = ("as wide", "exact")


SMALL = {"digits": Plan((1, 4, 16, 64), (5e-4, 2e-3), 800)}
FULL = {"faces": Plan((4, 16, 64, 128), (2e-4, 1e-3), 10_000, ("as wide", "fixed", "exact"))}
QUICK = {"digits": Plan((1, 4, 8), (2e-3,), 20)}


@dataclass(frozen=True)
class Run:
    """One training."""

    data: str
    critic: str
    k: int
    rate: float
    seed: int
    steps: int


@dataclass(frozen=True)
class Pictures:
    """Pictures in [-1, 1], (n, h, h) or (n, h, h, 3), to train on and to hold out, and what looks at them."""

    train: np.ndarray
    held: np.ndarray
    extractor: Extractor

    def quality(self, made: np.ndarray, resamples: int = 1) -> Result:
        """The Frechet distance to the held-out pictures."""
        return frechet_distance(self.held, made, self.extractor, resamples=resamples)

    def batches(self) -> np.ndarray:
        """The training pictures, (n, channels, h, h), single precision."""
        images = self.train[..., None] if self.train.ndim == 3 else self.train
        return images.transpose(0, 3, 1, 2).astype(np.float32)


@cache
def pictures(data: str) -> Pictures:
    """The pictures of a name."""
    if data == "faces":
        from benchmarks._faces import faces, use_tools

        use_tools()
        images = faces(32, 10_000)
        return Pictures(images[::2] / 127.5 - 1, images[1::2] / 127.5 - 1, age256())
    if data != "digits":
        images = load(data, 32, limit=20_000).images
        return Pictures(images[::2] / 127.5 - 1, images[1::2] / 127.5 - 1, pixels(8))
    task = digits_task()
    return Pictures(task.train, task.held, Extractor("digits-perceptron32", task.features))


def generator(k: int, size: int, channels: int) -> nn.Module:
    """From latents to pictures in (-1, 1)."""
    low = min(4, size // 4)
    wide = k * size // low // 2
    layers: list[nn.Module] = [nn.Linear(LATENTS, wide * low**2, bias=False), nn.Unflatten(1, (wide, low, low))]
    while wide >= k:
        narrow = wide // 2 if wide > k else channels
        layers += [nn.BatchNorm2d(wide), nn.ReLU(), nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=wide == k)]
        wide = wide // 2
    return nn.Sequential(*layers, nn.Tanh())


def critic(k: int, size: int, channels: int) -> nn.Module:
    """From pictures to scores: the generator's layers the other way round."""
    low, layers = min(4, size // 4), []  # type: int, list[nn.Module]
    while size > low:
        layers += [nn.Conv2d(channels, k, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels, k, size = k, 2 * k, size // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * low**2, 1))


def players(run: Run, plan: Plan, real: np.ndarray, device: str) -> tuple[nn.Module, nn.Module, Objective, int]:
    """Both networks, what they play for, and the size of a batch."""
    channels, size = real.shape[1:3]
    torch.manual_seed(run.seed)
    net = generator(run.k, size, channels).to(device)
    if run.critic == "exact":
        return net, ExactDiscriminatorLoss(real, "polynomial").to(device), Objective(generator_penalty=0), 256
    width = run.k if run.critic == "as wide" else plan.widths[2]
    return net, critic(width, size, channels).to(device), Objective(generator_penalty=0, gradient_penalty=10.0), 64


def draw(net: nn.Module, n: int, device: str) -> np.ndarray:
    """As many pictures as that, of the same latents every time."""
    latents = torch.randn(n, LATENTS, generator=torch.Generator().manual_seed(7))
    made = torch.cat([net(part.to(device)).cpu() for part in latents.split(500)])
    return made.permute(0, 2, 3, 1).squeeze(-1).double().numpy()


def trained(run: Run, plan: Plan, device: str) -> dict[str, Any]:
    """What became of a run: distances on the way, and the last one with its interval, floor and sample sizes."""
    seen, folder = pictures(run.data), BUILD / "checkpoints"
    net, opponent, objective, batch = players(run, plan, seen.batches(), device)

    def look(step: int, net: nn.Module, opponent: nn.Module) -> dict[str, float]:
        return {"frechet": seen.quality(draw(net, len(seen.held), device)).value}

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{'-'.join(str(value) for value in asdict(run).values()).replace(' ', '_')}.safetensors"
    found = train(
        net,
        opponent,
        seen.batches(),
        LATENTS,
        objective,
        method=STEP,
        rates=run.rate,
        steps=run.steps,
        batch=batch,
        every=max(1, run.steps // LOOKS),
        callbacks=[look],
        checkpoint=path,
        rng=run.seed,
    )
    if found.outcome == "interrupted":
        raise KeyboardInterrupt
    net.eval()
    with torch.no_grad():
        last = seen.quality(draw(net, len(seen.held), device), resamples=100)
    path.unlink(missing_ok=True)
    curve = [[row["step"], row["frechet"], row["seconds"]] for row in found.history]
    return asdict(run) | {"outcome": str(found.outcome), "curve": curve, "last": asdict(last)}


def sweep(grid: dict[str, Plan], path: Path, device: str) -> dict[Run, dict[str, Any]]:
    """All runs, those of the file as they are."""
    done: dict[Run, dict[str, Any]] = {}
    if path.exists():
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        done = {Run(**{name: line[name] for name in Run.__dataclass_fields__}): line for line in lines}
    runs = [
        (Run(data, name, k, rate, seed, plan.steps), plan)
        for data, plan in grid.items()
        for name in plan.critics
        for seed in range(SEEDS)
        for k in plan.widths
        for rate in plan.rates
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, (run, plan) in enumerate(runs):
        if run not in done:
            done[run] = trained(run, plan, device)
            with path.open("a") as log:
                log.write(json.dumps(done[run]) + "\n")
            print(f"{number + 1} of {len(runs)}: {run}: {final(done[run]):.4g}", flush=True)
    return {run: done[run] for run, _ in runs}


def final(found: dict[str, Any]) -> float:
    """The geometric mean of the last three distances; infinite if the run diverged."""
    if found["outcome"] == "diverged":
        return float("inf")
    return float(np.exp(np.mean(np.log([point[1] for point in found["curve"][-3:]]))))


def reached(found: dict[str, Any], threshold: float) -> float:
    """The first step with a distance at or below the threshold."""
    return min((point[0] for point in found["curve"] if point[1] <= threshold), default=float("inf"))


def groups(done: dict[Run, dict[str, Any]], data: str, name: str) -> dict[int, list[dict[str, Any]]]:
    """The runs of each width at its best learning rate."""
    found: dict[int, dict[float, list[dict[str, Any]]]] = {}
    for run, outcome in done.items():
        if (run.data, run.critic) == (data, name):
            found.setdefault(run.k, {}).setdefault(run.rate, []).append(outcome)
    return {k: min(rates.values(), key=lambda runs: np.median([*map(final, runs)])) for k, rates in found.items()}


def spread(values: list[float], form: str = ".3g") -> str:
    """Median (least to greatest)."""
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def weights(k: int, data: str) -> int:
    """Of a generator."""
    shape = pictures(data).batches().shape
    return sum(part.numel() for part in generator(k, shape[2], shape[1]).parameters())


COLUMNS = [
    "pictures",
    "critic",
    "k",
    "weights of the generator",
    "rate",
    "final distance",
    "threshold",
    "reached by",
    "after steps",
]


def table(done: dict[Run, dict[str, Any]], grid: dict[str, Plan]) -> list[list[object]]:
    """A row for each width."""
    rows: list[list[object]] = []
    for data, name in ((data, name) for data, plan in grid.items() for name in plan.critics):
        best = groups(done, data, name)
        threshold = 1.5 * min(float(np.median([*map(final, runs)])) for runs in best.values())
        for k, runs in best.items():
            steps = [reached(run, threshold) for run in runs]
            arrived = [count for count in steps if np.isfinite(count)]
            cells = [spread([*map(final, runs)]), threshold, f"{len(arrived)} of {len(runs)}"]
            when = spread(arrived, "g") if arrived else f"not in {runs[0]['steps']}"
            rows.append([data, name, k, weights(k, data), runs[0]["rate"], *cells, when])
    return rows


def floors(done: dict[Run, dict[str, Any]], grid: dict[str, Plan]) -> dict[str, dict[str, Any]]:
    """A last measurement of each set of pictures: its floor and sample sizes are those of all."""
    return {data: next(found["last"] for run, found in done.items() if run.data == data) for data in grid}


def figure(done: dict[Run, dict[str, Any]], grid: dict[str, Plan]) -> Figure:
    """Final distances over k and curves over steps; lines are medians, bands all seeds."""
    places = [(data, name) for data, plan in grid.items() for name in plan.critics]
    page = Figure(figsize=(4.2 * len(places), 6.5), layout="constrained")
    above, below = page.subplots(2, len(places), squeeze=False)
    for top, bottom, (data, name) in zip(above, below, places, strict=True):
        best, floor = groups(done, data, name), floors(done, grid)[data]
        ends = [[final(run) for run in runs] for runs in best.values()]
        top.loglog(list(best), [np.median(each) for each in ends], "o-", color="C0")
        top.fill_between(list(best), [*map(min, ends)], [*map(max, ends)], alpha=0.2, color="C0", linewidth=0)
        top.set_xticks(list(best), [str(k) for k in best])
        top.minorticks_off()
        top.set(title=f"{data}, critic {name}", xlabel="base width k", ylabel=f"final {floor['metric']}")
        for i, (k, runs) in enumerate(best.items()):
            curves = np.array([run["curve"] for run in runs if run["outcome"] != "diverged"])
            if len(curves):
                bottom.semilogy(curves[0, 1:, 0], np.median(curves[:, 1:, 1], axis=0), color=f"C{i}", label=f"k = {k}")
        bottom.set(xlabel="steps", ylabel=floor["metric"])
        for panel in (top, bottom):
            panel.axhline(floor["floor"], color="black", linestyle="--", linewidth=1, label="real against real")
    below[0].legend(fontsize="small")
    return page


def main() -> None:
    """Train what is missing, then compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")), help="only that it runs")
    parser.add_argument("--full", action="store_true", help="colour faces, for a GPU")
    parser.add_argument(
        "--data", help="pictures to train on instead of the faces of --full: a folder of CIFAR-10, CelebA"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    grid = QUICK if options.quick else FULL if options.full or options.data else SMALL
    if options.data:
        grid = dict(zip([options.data], grid.values(), strict=True))
    path = BUILD / ("quick.jsonl" if options.quick else "runs.jsonl")
    if options.quick:
        path.unlink(missing_ok=True)
    done = sweep(grid, path, options.device)
    text = "; ".join(
        f"{data}: {found['metric']} of {found['fake']} made and {found['real']} held-out pictures, floor "
        f"{found['floor']:.3g} of {found['floor_sizes'][0]} against {found['floor_sizes'][1]}"
        for data, found in floors(done, grid).items()
    )
    name = "width_sweep_images" + ("_data" if options.data else "_full" if options.full else "")
    about = f"{__doc__}\n{text}. torch {torch.__version__}, {options.device}."
    write(name, COLUMNS, table(done, grid), about, options.quick, figure(done, grid))


if __name__ == "__main__":
    main()
