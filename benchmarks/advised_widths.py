"""Does a generator of the width that `advise_width` names train on fresh draws, and what does that width depend on?

[OP], Balaji et al. (arXiv 2104.05605): m outputs, p latents of which there are n, steps mu = 1/2 and eta = 0.1 /
kernel, 600 of them; a run fails if its residual does not fall below a thousandth of its first. Advice on at most 5 % of
failures is asked for three times, with draws of its own: the widths that came out. "Fails" are shares of fresh runs at
the least of these widths, and at half of it, with 95 % intervals (Clopper and Pearson).

Predicted: JJ' = V diag(|slope|^2) V' adds up k terms of rank one in m dimensions, so that k / m decides, near 10, and p
and n hardly matter; fresh runs at the advised width fail in at most 5 %. It need not be the least such width: among 118
runs more than one failure refuses a width, which happens to one that fails in 2 % more often than not.

Example: python -m benchmarks.advised_widths --quick
"""

from __future__ import annotations

from scipy.stats import binomtest

from benchmarks._report import parse, write
from convexgan.dynamics import MeanMatching, advise_width, simulate

FAILURE, TOLERANCE, DRAWS, FRESH = 0.05, 1e-3, 3, 400
SETTINGS = [(m, 10, 40) for m in (2, 5, 10, 20)] + [(5, p, 40) for p in (2, 40)] + [(5, 10, n) for n in (10, 80)]
COLUMNS = ["m", "p", "n", "advised widths", "least / m", "fails there", "fails at half of it"]


def fails(setting: MeanMatching, width: int, rates: tuple[float, float], runs: int) -> str:
    """The share of fresh runs that fail, with its interval."""
    ratio = simulate(setting, [width], rates, seeds=runs, rng=1000).ratio
    found = binomtest(int((ratio > TOLERANCE).sum()), runs)
    low, high = found.proportion_ci()
    return f"{found.statistic:.3g} ({low:.2g} to {high:.2g})"


def row(m: int, p: int, n: int, quick: bool) -> list[object]:
    """The advice for a setting, and how it does."""
    setting = MeanMatching(m, p, n)
    rates, draws, runs = (0.1 / setting.kernel, 0.5), (1 if quick else DRAWS), (50 if quick else FRESH)
    widths = sorted(advise_width(setting, rates, FAILURE, tolerance=TOLERANCE, rng=seed).width for seed in range(draws))
    shares = [fails(setting, width, rates, runs) for width in (widths[0], widths[0] // 2)]
    return [m, p, n, ", ".join(map(str, widths)), widths[0] / m, *shares]


def main() -> None:
    """Measure every setting."""
    options = parse(__doc__)
    rows = []
    for setting in SETTINGS[:2] if options.quick else SETTINGS:
        rows.append(row(*setting, options.quick))
        print(rows[-1], flush=True)
    write("advised_widths", COLUMNS, rows, f"{__doc__}\n{FRESH} fresh runs each.", options.quick)


if __name__ == "__main__":
    main()
