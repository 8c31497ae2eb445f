"""Triple descent: three settings of a linear GAN whose test error falls three times as the latent dimension grows.

Luzi, Dar and Baraniuk (arXiv 2106.04003) report double, and in some cases triple, descent. A rise or a fall of the log
error between two latent dimensions k counts if its paired mean over the draws exceeds 5 standard errors and 1 %. Two
falls are a double descent, three a triple.

Claims: with fixed pairs the error has a peak wherever as many strong pairs as strong features meet. White latents,
pairs of equal weight: one peak, at k = m, so at most two falls (triple_descent_search.md: 210 curves over spectra,
samples, pairs, ridges and weights of the mixed learner). A second peak comes with 12 pairs of weight 1 and 24 of .003
(12 and 36 latents); with 30 latents of scale 1 before those of scale 10 (12 latents, and 12 strong ones); and with the
generator W' tanh(.3 A z / sqrt k) of width 3k (36 features, of which at k = 12 there are as many as pairs; and 36
latents, as many as the features' strong directions). `amplification` gives the limit of the mean generated second
moment: its relative error between the peaks falls like 1 / size (triple_descent_formula.md).

Example: python -m benchmarks.triple_descent --quick
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks._report import RESULTS, parse, write
from convexgan.cli.studies.double_descent import PAIRED, TRIPLE, plot_triples, triples, turning
from convexgan.linear_gan import RandomFeatures, amplification, pseudo_supervised, sweep
from convexgan.linear_gan.features import tanh_moment

D = 24
SPECTRA = {
    "1/i": 1 / np.arange(1, D + 1),
    "1/i^2": 1 / np.arange(1, D + 1) ** 2,
    "equal": np.ones(D),
    "rank 6": np.repeat([1.0, 0.0], [6, D - 6]),
    "6 large, 18 of .05": np.repeat([1.0, 0.05], [6, D - 6]),
}
SIZES = [(12, 12), (12, 6), (12, 3), (36, 36), (36, 12), (36, 4)]  # samples, pairs
RIDGES, WEIGHTS = (0.001, 0.1), (1.0, 10.0, 100.0)
SEARCHED = "Curves of white latents and pairs of equal weight that fall more than once."
FORMULA = """The mean share a of a strong pair in the generated second moment, E W'CW = sum a_i x_i x_i', simulated
between the peaks beside its limit for many pairs and features (`convexgan.linear_gan.amplification`), in problems up to
8 times as large: the ratio falls to 1 like 1 / size. Each draw has its own limit where features are random."""
BETWEEN = {name: k for name, k in zip(TRIPLE, (22, 36, 24), strict=True)}  # latent dimensions between the peaks


def search(quick: bool) -> tuple[list[list[object]], str]:
    """Every combination swept: the curves with more than one fall, and how many there are."""
    rows: list[list[object]] = []
    total, draws = 0, 10 if quick else 20
    for name, eigenvalues in SPECTRA.items():
        for n, m in SIZES[: 1 if quick else None]:
            ks = sorted({1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 24, 30, m - 1, m, m + 2, n, 48, 70, 100, 200})
            found = sweep(eigenvalues, n, ks, pairs=m, ridges=RIDGES, weights=WEIGHTS, draws=draws)
            for learner in found.setting.learners:
                total += 1
                if found.falls(learner) > 1:
                    rows.append([name, n, m, learner, found.falls(learner), turning(found, learner)])
    kinds = dict(Counter(row[4] for row in rows))
    return rows, f"{total} curves, {draws} draws each. Curves by number of falls beyond one: {kinds or 'none'}."


def moments(name: str, size: int, draws: int) -> Iterator[tuple[float, float]]:
    """Simulated over predicted mean share of the strong pairs, in problems so many times as large, by draws."""
    rng, k = np.random.default_rng(size), size * BETWEEN[name]
    weights = np.repeat([1.0, 0.003], [12 * size, 24 * size])
    if name != "two weights of pairs":
        weights = np.ones(size * (36 if name == "random features" else 12))
    root = np.sqrt(weights)[:, None]
    scales = np.repeat([1.0, 10.0], [30 * size, 6 * size])[:k] if name == "two scales of latents" else np.ones(k)
    for _ in range(draws):
        features, second = rng.standard_normal((len(weights), k)) * scales, np.diag(scales**2)
        if name == "random features":
            layer = RandomFeatures().weights(k, rng)
            features, second = np.tanh(features @ layer), tanh_moment(layer)
        T = pseudo_supervised(np.diag(root[:, 0]), root * features)  # W = T X
        found = np.einsum("ji,jk,ki->i", T, second, T)
        yield float(found[weights == 1].mean()), float(amplification(weights, np.linalg.eigvalsh(second))[0])


def formula(quick: bool) -> list[list[object]]:
    """The formula beside simulation at growing sizes."""
    rows: list[list[object]] = []
    for name in TRIPLE:
        for size in (1, 2) if quick else (1, 2, 4, 8):
            found, told = np.array(list(moments(name, size, 40 if quick else 480 // size))).T
            ratio = found / told
            error = float(ratio.std() / np.sqrt(len(ratio)))
            rows.append([name, size, size * BETWEEN[name], len(ratio), float(told.mean()), float(ratio.mean()), error])
    return rows


def main() -> None:
    """Search, then sweep the three settings with three seeds, then compare the formula."""
    options = parse(__doc__)
    found, summary = search(options.quick)
    columns = ["spectrum", "samples", "pairs", "learner", "falls", "turning points (geometric mean of the errors)"]
    write("triple_descent_search", columns, found, f"{SEARCHED}\n\n{summary}", options.quick)
    columns = ["setting", "size", "k", "draws", "share of a strong pair, limit", "simulated / limit", "s.e."]
    write("triple_descent_formula", columns, formula(options.quick), FORMULA, options.quick)
    rows: list[list[object]] = []
    for seed in (1, 2, 3):
        with tempfile.TemporaryDirectory() as folder:
            swept = triples(Path(folder), options.quick, seed)
        if seed == 1 and not options.quick:
            plot_triples(swept, RESULTS / "triple_descent.png")
        rows += [[name, seed, each.falls(PAIRED), turning(each, PAIRED)] for name, each in swept.items()]
    columns = ["setting", "seed", "falls", "turning points (geometric mean of the errors)"]
    write("triple_descent", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
