"""Every metric of pictures with its floor and interval, on three sets, for four kinds of generated pictures.

Each set is cut at random into two halves. One trains the closed-form generator; the other, unseen, is the real side of
every comparison (of "copies" it is the training half). The fakes: real pictures (the half that is not compared with),
as many from the closed form, uniform noise, and the training pictures with repetition (memory). The sets: handwritten
digits, the ORL photographs of faces (grey), and synthetic colour faces, drawn from the DCGAN of gan-face-generate and
box-averaged to 32 pixels: not photographs.

Predicted: real < closed form < noise by every distance, and the other way round by every share, but for "faces", which
cannot tell the closed form's blends from faces. "copies" is near a half for real pictures and 1 for a memory, which
the other metrics take for nearly real. Floors of the Frechet distance fall like 1/n, of the sliced distance like
1/sqrt(n); that of the kernel distance is about 0 at any n.

Needs build/tools (`make build/tools`) for age256, faces and efficientnet-lite0 (the slowest: on the ORL faces only).

Example: python -m benchmarks.metric_floors --quick
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import convexgan as cg
from benchmarks._faces import faces, use_tools
from benchmarks._report import RESULTS, parse, write
from convexgan.datasets import digits, orl
from convexgan.metrics import Report, Result, evaluate, features

DRAWS = 30
SHARES = ("precision", "recall", "copies", "faces")
KINDS = ("real", "closed form", "noise", "memory")


def fakes(train: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """As many pictures of each kind as there are to train."""
    rng, n = np.random.default_rng(0), len(train)
    drawn = cg.ProgressiveConvexGAN(random_state=0).fit(train).sample(n, 1)
    noise = rng.integers(0, 256, train.shape, dtype=np.uint8)
    return dict(zip(KINDS, (train, drawn, noise, train[rng.integers(0, n, n)]), strict=True))


def looks(name: str) -> list[str]:
    """The extractors used on a set."""
    return {"digits": ["pixels"], "ORL faces, grey": ["pixels=16", "age256", "efficientnet-lite0"]}.get(
        name, ["pixels=8", "age256"]
    )


def halves(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two random halves of equal size."""
    order = np.random.default_rng(0).permutation(len(images))
    cut = len(images) // 2
    return images[order[:cut]], images[order[cut : 2 * cut]]


def measured(name: str, images: NDArray[np.uint8]) -> list[list[object]]:
    """The table rows of one set."""
    train, held = halves(images)
    kinds = fakes(train)
    rows = []
    for look in looks(name):
        seen = {kind: features(fake, look) for kind, fake in kinds.items()}
        real, known = features(held, look), seen["real"]
        metrics = "frechet", "kernel", "precision-recall"
        reports = [evaluate(real, fake, metrics, look, resamples=DRAWS) for fake in seen.values()]
        memory = [evaluate(known, fake, ["copies"], look) for fake in (seen | {"real": real}).values()]
        rows += table(reports) + table(memory)
    metrics = ("sliced",) if name == "digits" else ("sliced", "faces")
    rows += table([evaluate(held, fake, metrics, resamples=DRAWS) for fake in kinds.values()])
    return [[name, len(train), *cells] for cells in rows]


def table(reports: list[Report]) -> list[list[object]]:
    """A row for each metric, from a report for each kind."""
    rows = [row(found) for found in zip(*(report.results for report in reports), strict=True)]
    for cells in rows:
        print(*cells, sep=" | ", flush=True)
    return rows


def row(found: tuple[Result, ...]) -> list[object]:
    """The cells of one metric: its floor, its results for each kind, and whether they come in order."""
    real, closed, noise, _ = (r.value for r in found)
    ordered = real > closed >= noise if found[0].metric in SHARES else real < closed < noise
    metric = found[0].metric + (", n <= d" if found[0].note else "")
    cells = [f"{r.value:.4g} ({r.low:.3g} .. {r.high:.3g})" for r in found]
    return [metric, found[0].extractor, found[0].floor, *cells, "yes" if ordered else "NO"]


def curves(images: NDArray[np.uint8], sizes: list[int]) -> None:
    """Real against other real pictures as n grows, noise = 1, bands over three draws: the figure and its table."""
    noise = np.random.default_rng(0).integers(0, 256, (2000, *images.shape[1:]), dtype=np.uint8)
    unit = distances(images[:2000], noise)
    bands: dict[str, list[list[float]]] = {name: [] for name in unit}
    for n in sizes:
        orders = [np.random.default_rng(seed).permutation(len(images)) for seed in range(3)]
        found = [distances(images[np.sort(order[:n])], images[np.sort(order[n : 2 * n])]) for order in orders]
        for name, band in bands.items():
            low, median, high = sorted(one[name] / unit[name] for one in found)
            band.append([median, low, high])
    rows = [[n, name, *band[i]] for name, band in bands.items() for i, n in enumerate(sizes)]
    text = "Real against real pictures of metric_floors as their number grows, as a share of noise against real."
    write("metric_floors_curves", ["n", "metric", "median", "least", "greatest"], rows, text, quick=False)
    draw_curves(rows)


def draw_curves(rows: list[list[object]]) -> None:
    """The figure of rows (n, metric, median, least, greatest)."""
    page = Figure(figsize=(8, 4.8), layout="constrained")
    panel, sizes = page.subplots(), sorted({int(str(row[0])) for row in rows})
    first: dict[object, float] = {}
    for name in dict.fromkeys(row[1] for row in rows):
        middle, low, high = np.array([row[2:] for row in rows if row[1] == name], dtype=float).T
        (line,) = panel.loglog(sizes, middle, label=name)
        panel.fill_between(sizes, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        first[name] = middle[0]
    fall = sizes[0] / np.array(sizes)
    panel.loglog(sizes, first["FD-age256"] * fall, "k--", linewidth=1, label="falls like 1/n")
    panel.loglog(sizes, first["sliced W1 at 32"] * np.sqrt(fall), "k:", linewidth=1.5, label="falls like 1/sqrt(n)")
    panel.set_xticks(sizes, [str(n) for n in sizes])
    panel.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    panel.set(xlabel="pictures on each side", ylabel="real against real (noise = 1)")
    panel.set_title("Synthetic colour faces, 32 x 32: what a perfect generator scores")
    page.legend(loc="outside right upper", fontsize="small")
    page.savefig(RESULTS / "metric_floors.png", dpi=150)


def distances(real: NDArray[np.uint8], fake: NDArray[np.uint8]) -> dict[str, float]:
    """The biased distances, without intervals."""
    found = evaluate(real, fake, ["frechet", "sliced"], "pixels=8", resamples=1).results
    found += evaluate(real, fake, ["frechet"], "age256", resamples=1).results
    return {r.metric: r.value for r in found if r.metric not in ("sliced W1 at 8", "sliced W1 at 16")}


def main() -> None:
    """Measure each set, then draw the floors."""
    options = parse(__doc__)
    use_tools()
    sets = {"digits": digits(8).images}
    if not options.quick:
        sets |= {"ORL faces, grey": orl(64).images, "synthetic colour faces": faces(32, 2000)}
    rows = [row for name, images in sets.items() for row in measured(name, images)]
    columns = ["pictures", "n", "metric", "extractor", "floor", *KINDS, "real, closed form, noise in order"]
    if not options.quick:
        curves(faces(32), [125, 250, 500, 1000, 2000, 4000])
    write("metric_floors", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
