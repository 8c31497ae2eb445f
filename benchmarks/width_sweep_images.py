"""Does a wider GAN make better pictures, sooner and more stably? Pairs of networks of base width k, to a plateau.

Balaji et al. (arXiv 2104.05605) report all three for CIFAR-10 and CelebA, "across the board". Predicted from the
generators that match a mean (`gda_predictions`): too narrow generators fail, wider ones need fewer steps, and from some
width on nothing is gained. The last seemed right while runs could end after 1,000 steps, and is refuted up to k = 32:
what is level there falls again after 5,000.

Networks: "dcgan", whose generator doubles a picture's edge by transposed convolutions with batch normalisation, of k
channels before the last and twice as many in each layer before (Radford et al., arXiv 1511.06434); "residual", two
blocks h + W ReLU(V ReLU(h)) of 4k units, normalised before each ReLU (He et al., arXiv 1603.05027). The critics mirror
them without normalisation. The game is Wasserstein with gradient penalty 10, alternating Adam steps (0.5, 0.9), batches
of 32, with --full 64. The critic is "as wide" as the generator, "exact": the polynomial discriminator, solved in
every step (`ExactDiscriminatorLoss`, batches four times as large), which sees means and second moments only, or "fixed"
at the third of the widths: these two with --full only.

Half of the pictures train. Quality is the squared Frechet distance of as many generated pictures to the other half, on
named features: of the digits (8 x 8) "digits-perceptron32", 32 ReLU units of a perceptron trained on the training
half's labels; of the ORL photographs of faces (16 x 16, grey) "orl-pca20", 20 principal coordinates of the training
half's pixels; of 2,000 colour faces drawn from the DCGAN of gan-face-generate, not photographs, the same at 16 x 16
pixels, "faces-pca20", and with --full age256 of 10,000 at 32 x 32. The floor is that of real against real pictures.

A run is lengthened by half, to the most steps allowed, until the geometric mean of its distances over the last third
of the steps is less than 5 % below that over the third before: "at a plateau" counts those that came to that. (The
least distance seen would not do: one lucky look ends a run that still falls. What falls again after a flat third is cut
short by either.) Its level is the geometric mean over the last quarter, its oscillation the standard deviation of their
logarithms, any trend included; "steps to its level" end at the first look within 10 % of it. Every width is trained at
every learning rate with three seeds, and shown at the rate whose median level is least: median (least to greatest).
"Spread of seeds" is the standard deviation of the logarithms of their levels.

The second table compares two widths, by ratios of geometric means over seeds with 95 % intervals (Welch, of the
logarithms): of levels, of oscillations, and of the steps to a common level, within 10 % of the worst of all their runs.
An interval that holds 1 decides nothing; one in twenty misses.

Colour faces need build/tools (`make build/tools`). --full trains those of 32 x 32, for a GPU. --data PATH trains
anybody's pictures at 32 x 32, 20,000 at most, seen as averages of 8 x 8 pixels: CIFAR-10's folder or CelebA, the
paper's own sets, which were not at hand. A finished run is a line of build/width_sweep_images/runs.jsonl and is not
repeated; the one under way goes on from its checkpoint.

Example: python -m benchmarks.width_sweep_images --quick
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import t as student
from torch import nn

from benchmarks._report import spread, write
from benchmarks.pseudo_supervised_gans import digits_task, orl_task, principal_coordinates
from convexgan.datasets import load
from convexgan.metrics import Extractor, Result, frechet_distance
from convexgan.metrics.extractors import age256, pixels
from convexgan.torch import ExactDiscriminatorLoss, Objective, train
from convexgan.updates import adam, alternating

BUILD = Path(__file__).parents[1] / "build" / "width_sweep_images"
LATENTS, SEEDS = 64, 3
STEP = partial(alternating, transform=partial(adam, betas=(0.5, 0.9)))


@dataclass(frozen=True)
class Panel:
    """One game on one set of pictures, the widths and rates it is tried at, and the lengths at which a run may end."""

    data: str
    network: str
    critic: str = "as wide"
    widths: tuple[int, ...] = (1, 3, 10, 32)
    rates: tuple[float, ...] = (2e-3,)
    lengths: tuple[int, ...] = (5100, 7600, 11_400, 17_000)
    every: int = 50
    batch: int = 32


LARGE = partial(
    Panel, widths=(4, 16, 64, 128), rates=(2e-4, 1e-3), lengths=(4000, 6000, 9000, 13_500), every=250, batch=64
)
TINY = partial(Panel, widths=(1, 8), lengths=(12, 18), every=2)
SMALL = [Panel(data, network) for data in ("digits", "orl", "faces-16") for network in ("dcgan", "residual")]
FULL = [LARGE("faces", "dcgan", critic) for critic in ("as wide", "fixed", "exact")] + [LARGE("faces", "residual")]
QUICK = [TINY("digits", "dcgan"), TINY("digits", "dcgan", "exact"), TINY("orl", "residual")]


@dataclass(frozen=True)
class Run:
    """One training, of so many steps at most."""

    data: str
    network: str
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
    if data in ("faces", "faces-16"):
        from benchmarks._faces import faces, use_tools

        use_tools()
        size, count = (32, 10_000) if data == "faces" else (16, 2000)
        train, held = (faces(size, count)[start::2] / 127.5 - 1 for start in (0, 1))
        seen = age256() if data == "faces" else Extractor("faces-pca20", principal_coordinates(train))
        return Pictures(train, held, seen)
    if data == "digits":
        task = digits_task()
        return Pictures(task.train, task.held, Extractor("digits-perceptron32", task.features))
    if data == "orl":
        task = orl_task()
        return Pictures(task.train, task.held, Extractor("orl-pca20", task.features))
    images = load(data, 32, limit=20_000).images
    return Pictures(images[::2] / 127.5 - 1, images[1::2] / 127.5 - 1, pixels(8))


def dcgan_generator(k: int, size: int, channels: int) -> nn.Module:
    """From latents to pictures in (-1, 1)."""
    low = min(4, size // 4)
    wide = k * size // low // 2
    layers: list[nn.Module] = [nn.Linear(LATENTS, wide * low**2, bias=False), nn.Unflatten(1, (wide, low, low))]
    while wide >= k:
        narrow = wide // 2 if wide > k else channels
        layers += [nn.BatchNorm2d(wide), nn.ReLU(), nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=wide == k)]
        wide = wide // 2
    return nn.Sequential(*layers, nn.Tanh())


def dcgan_critic(k: int, size: int, channels: int) -> nn.Module:
    """From pictures to scores: the generator's layers the other way round."""
    low, layers = min(4, size // 4), []  # type: int, list[nn.Module]
    while size > low:
        layers += [nn.Conv2d(channels, k, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels, k, size = k, 2 * k, size // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * low**2, 1))


class Residual(nn.Module):
    """h + f(h), f the given layers one after the other."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """What comes out of the block."""
        return h + self.layers(h)


def residual_generator(k: int, size: int, channels: int) -> nn.Module:
    """From latents to pictures in (-1, 1), by two blocks of 4k units."""
    wide = 4 * k

    def rectified(units: int) -> list[nn.Module]:
        return [nn.BatchNorm1d(wide), nn.ReLU(), nn.Linear(wide, units)]

    blocks = [Residual(*rectified(wide), *rectified(wide)) for _ in range(2)]
    last = [*rectified(channels * size**2), nn.Unflatten(1, (channels, size, size)), nn.Tanh()]
    return nn.Sequential(nn.Linear(LATENTS, wide), *blocks, *last)


def residual_critic(k: int, size: int, channels: int) -> nn.Module:
    """From pictures to scores, by two blocks of 4k units."""
    wide = 4 * k

    def rectified(units: int) -> list[nn.Module]:
        return [nn.LeakyReLU(0.2), nn.Linear(wide, units)]

    blocks = [Residual(*rectified(wide), *rectified(wide)) for _ in range(2)]
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, wide), *blocks, *rectified(1))


NETWORKS = {"dcgan": (dcgan_generator, dcgan_critic), "residual": (residual_generator, residual_critic)}


def players(run: Run, panel: Panel, real: np.ndarray, device: str) -> tuple[nn.Module, nn.Module, Objective, int]:
    """Both networks, what they play for, and the size of a batch."""
    channels, size = real.shape[1:3]
    generator, critic = NETWORKS[run.network]
    torch.manual_seed(run.seed)
    net = generator(run.k, size, channels).to(device)
    if run.critic == "exact":
        exact = ExactDiscriminatorLoss(real, "polynomial").to(device)
        return net, exact, Objective(generator_penalty=0), 4 * panel.batch
    width = run.k if run.critic == "as wide" else panel.widths[2]
    opponent = critic(width, size, channels).to(device)
    return net, opponent, Objective(generator_penalty=0, gradient_penalty=10.0), panel.batch


def draw(net: nn.Module, n: int, device: str) -> np.ndarray:
    """As many pictures as that, of the same latents every time."""
    latents = torch.randn(n, LATENTS, generator=torch.Generator().manual_seed(7))
    made = torch.cat([net(part.to(device)).cpu() for part in latents.split(500)])
    return made.permute(0, 2, 3, 1).squeeze(-1).double().numpy()


def trained(run: Run, panel: Panel, device: str) -> dict[str, Any]:
    """What became of a run: distances on the way, and the last one with its interval, floor and sample sizes."""
    seen, folder = pictures(run.data), BUILD / "checkpoints"
    net, opponent, objective, batch = players(run, panel, seen.batches(), device)

    def look(step: int, net: nn.Module, opponent: nn.Module) -> dict[str, float]:
        return {"frechet": seen.quality(draw(net, len(seen.held), device)).value}

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{'-'.join(str(value) for value in asdict(run).values()).replace(' ', '_')}.safetensors"
    for length in panel.lengths:
        found = train(
            net,
            opponent,
            seen.batches(),
            LATENTS,
            objective,
            method=STEP,
            rates=run.rate,
            steps=length,
            batch=batch,
            every=panel.every,
            callbacks=[look],
            checkpoint=path,
            rng=run.seed,
        )
        if found.outcome == "interrupted":
            raise KeyboardInterrupt
        curve = [[row["step"], row["frechet"], row["seconds"]] for row in found.history]
        diverged = found.outcome == "diverged"
        settled = not diverged and is_level([point for point in curve if point[0] <= length])
        if settled or diverged:
            break
    net.eval()
    with torch.no_grad():
        last = seen.quality(draw(net, len(seen.held), device), resamples=100)
    path.unlink(missing_ok=True)
    return asdict(run) | {"outcome": str(found.outcome), "settled": settled, "curve": curve, "last": asdict(last)}


def is_level(curve: list[list[float]]) -> bool:
    """Whether the geometric mean of the last third is above 0.95 times that of the third before."""
    steps, distances, _ = np.array(curve).T
    thirds = np.ceil(3 * steps / steps[-1])
    before, last = (np.log(distances[thirds == third]).mean() for third in (2, 3))
    return bool(last > before + np.log(0.95))


def sweep(grid: list[Panel], path: Path, device: str) -> dict[Run, dict[str, Any]]:
    """All runs, those of the file as they are."""
    done: dict[Run, dict[str, Any]] = {}
    if path.exists():
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        done = {Run(**{name: line[name] for name in Run.__dataclass_fields__}): line for line in lines}
    runs = [
        (Run(panel.data, panel.network, panel.critic, k, rate, seed, panel.lengths[-1]), panel)
        for seed in range(SEEDS)
        for panel in grid
        for k in panel.widths
        for rate in panel.rates
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, (run, panel) in enumerate(runs):
        if run not in done:
            done[run] = trained(run, panel, device)
            with path.open("a") as log:
                log.write(json.dumps(done[run]) + "\n")
            steps, _, seconds = done[run]["curve"][-1]
            told = f"{level(done[run]):.4g} after {steps} steps, {seconds:.0f} s"
            print(f"{number + 1} of {len(runs)}: {run}: {told}", flush=True)
    return {run: done[run] for run, _ in runs}


def ending(found: dict[str, Any]) -> np.ndarray:
    """Logarithms of the distances over the last quarter of a run."""
    return np.log([point[1] for point in found["curve"] if point[0] > 3 / 4 * found["curve"][-1][0]])


def level(found: dict[str, Any]) -> float:
    """Their geometric mean; infinite if the run diverged."""
    return float("inf") if found["outcome"] == "diverged" else float(np.exp(ending(found).mean()))


def oscillation(found: dict[str, Any]) -> float:
    """Their standard deviation, infinite if the run diverged."""
    return float("inf") if found["outcome"] == "diverged" else float(ending(found).std(ddof=1))


def reached(found: dict[str, Any], threshold: float) -> float:
    """The step of the first look, after the start, at a distance at or below the threshold."""
    return min((point[0] for point in found["curve"][1:] if point[1] <= threshold), default=float("inf"))


def groups(done: dict[Run, dict[str, Any]], panel: Panel) -> dict[int, list[dict[str, Any]]]:
    """The runs of each width at its best learning rate."""
    found: dict[int, dict[float, list[dict[str, Any]]]] = {}
    for run, outcome in done.items():
        if (run.data, run.network, run.critic) == (panel.data, panel.network, panel.critic):
            found.setdefault(run.k, {}).setdefault(run.rate, []).append(outcome)
    return {k: min(rates.values(), key=lambda runs: np.median([*map(level, runs)])) for k, rates in found.items()}


def ratio(wide: list[float], narrow: list[float]) -> str:
    """Of geometric means, with its 95 % interval if anything varies; nothing where a run diverged."""
    if not np.isfinite([*wide, *narrow]).all():
        return ""
    logs = [np.log(values) for values in (wide, narrow)]
    parts = [float(each.var(ddof=1)) / len(each) for each in logs]
    shift, variance = float(logs[0].mean() - logs[1].mean()), sum(parts)
    if not variance:
        return f"{np.exp(shift):.3g}"
    freedom = variance**2 / sum(part**2 / (len(each) - 1) for part, each in zip(parts, logs, strict=True))
    low, high = (np.exp(shift + reach * np.sqrt(variance)) for reach in student.interval(0.95, freedom))
    return f"{np.exp(shift):.3g} ({low:.3g} to {high:.3g})"


def weights(k: int, panel: Panel) -> int:
    """Of a generator."""
    shape = pictures(panel.data).batches().shape
    return sum(part.numel() for part in NETWORKS[panel.network][0](k, shape[2], shape[1]).parameters())


NEAR = 1.1  # times a level
PLACE = ["pictures", "network", "critic"]
COLUMNS = [
    *PLACE,
    "k",
    "weights of the generator",
    "rate",
    "level",
    "oscillation",
    "spread of seeds",
    "at a plateau",
    "steps to its level",
    "steps in all",
]
PAIRS = [*PLACE, "k", "level", "oscillation", "steps to a common level"]


def table(done: dict[Run, dict[str, Any]], grid: list[Panel]) -> list[list[object]]:
    """A row for each width."""
    rows: list[list[object]] = []
    for panel in grid:
        for k, runs in groups(done, panel).items():
            levels, settled = [*map(level, runs)], sum(run["settled"] for run in runs)
            arrived = [reached(run, NEAR * level(run)) for run in runs]
            row = [panel.data, panel.network, panel.critic, k, weights(k, panel), runs[0]["rate"], spread(levels)]
            row += [spread([*map(oscillation, runs)], ".2g"), float(np.log(levels).std(ddof=1))]
            row += [f"{settled} of {len(runs)}", spread(arrived, "g")]
            rows.append([*row, spread([run["curve"][-1][0] for run in runs], "g")])
    return rows


def pairs(done: dict[Run, dict[str, Any]], grid: list[Panel]) -> list[list[object]]:
    """A row for each two widths that are neighbours, and for the extremes."""
    rows: list[list[object]] = []
    for panel in grid:
        best = groups(done, panel)
        for narrow, wide in dict.fromkeys([*pairwise(best), (min(best), max(best))]):
            both = best[wide], best[narrow]
            common = NEAR * max(level(run) for runs in both for run in runs)
            cells = [[[measure(run) for run in runs] for runs in both] for measure in (level, oscillation)]
            cells += [[[reached(run, common) for run in runs] for runs in both]]
            place = [panel.data, panel.network, panel.critic, f"{wide} / {narrow}"]
            rows.append([*place, *(ratio(*cell) for cell in cells)])
    return rows


def floors(done: dict[Run, dict[str, Any]], grid: list[Panel]) -> dict[str, dict[str, Any]]:
    """A last measurement of each set of pictures: its floor and sample sizes are those of all."""
    return {panel.data: next(found["last"] for run, found in done.items() if run.data == panel.data) for panel in grid}


def figure(done: dict[Run, dict[str, Any]], grid: list[Panel]) -> Figure:
    """Levels and oscillations over k, curves over steps: every seed, lines through the medians."""
    page = Figure(figsize=(3.6 * len(grid), 9), layout="constrained")
    panels = page.subplots(3, len(grid), squeeze=False)
    for (top, middle, bottom), panel in zip(panels.T, grid, strict=True):
        best, floor = groups(done, panel), floors(done, grid)[panel.data]
        for axis, measure in ((top, level), (middle, oscillation)):
            ends = [[measure(run) for run in runs] for runs in best.values()]
            axis.loglog(list(best), [np.median(each) for each in ends], "-", color="C0")
            axis.loglog(list(best), ends, ".", color="C0", markersize=7)
            axis.set_xticks(list(best), [str(k) for k in best])
            axis.minorticks_off()
            axis.set_xlabel("base width k")
        for i, (k, runs) in enumerate(best.items()):
            for run in runs:
                steps, distances, _ = np.array(run["curve"][1:]).T
                bottom.loglog(
                    steps, distances, color=f"C{i}", linewidth=1, label=f"k = {k}" if run is runs[0] else None
                )
        top.set(title=f"{panel.data}, {panel.network}, critic {panel.critic}", ylabel=f"level of {floor['metric']}")
        middle.set_ylabel("oscillation")
        bottom.set(xlabel="steps", ylabel=floor["metric"])
        for axis in (top, bottom):
            axis.axhline(floor["floor"], color="black", linestyle="--", linewidth=1, label="real against real")
    panels[2, 0].legend(fontsize="small")
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
        grid = [replace(panel, data=options.data) for panel in grid]
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
    about = f"{__doc__}\n{text}. torch {torch.__version__}, {options.device}. Second table: [here]({name}_pairs.md)."
    write(name, COLUMNS, table(done, grid), about, options.quick, figure(done, grid))
    compared = "Ratios of two widths, with 95 % intervals, of the runs of [width_sweep_images](width_sweep_images.md)."
    write(f"{name}_pairs", PAIRS, pairs(done, grid), compared, options.quick)


if __name__ == "__main__":
    main()
