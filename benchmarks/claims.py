"""The page docs/claims.md: what seven papers claim in their abstracts, beside what the committed results say.

Nothing is measured here: figures are read from benchmarks/results, and a verdict follows from them. Run it after any
benchmark that it names; a test compares the page with what this script makes.

Example: python -m benchmarks.claims --quick
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import f as f_law

from benchmarks._report import RESULTS, parse

PAGE = Path(__file__).parents[1] / "docs" / "claims.md"
REPRODUCED, PARTLY, REFUTED, UNTESTED = "reproduced", "partly", "refuted", "not tested"
Found = tuple[str, str]  # verdict and figure
Row = dict[str, str]

PAPERS = {
    "OP": ("Balaji et al., *Understanding Overparameterization in GANs*", "2104.05605"),
    "DD": ("Luzi, Dar, Baraniuk, *Double Descent and Other Interpolation Phenomena in GANs*", "2106.04003"),
    "HC": ("Sahiner et al., *Hidden Convexity of Wasserstein GANs*", "2107.05680"),
    "IP": ("Becker et al., *Instability and Local Minima in GAN Training with Kernel Discriminators*", "2208.09938"),
    "KG": ("Becker et al., *Local Convergence of Gradient Descent-Ascent for Training GANs*", "2305.08277"),
    "DG": ("Grnarova et al., *Generative Minimization Networks*", "2103.12685"),
    "DM": ("Grnarova et al., *A Domain Agnostic Measure for Monitoring and Evaluating GANs*", "1811.05512"),
}


class Claim(NamedTuple):
    """One claim of an abstract, the benchmark that shows it, and how its results are read."""

    paper: str
    text: str
    benchmark: str
    read: Callable[[], Found]


def rows(name: str, **where: str) -> list[Row]:
    """The rows of a committed table whose columns start with the given text."""
    with (RESULTS / f"{name}.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if all(row[key].startswith(text) for key, text in where.items())]


def figure(number: float | str) -> str:
    """Four digits."""
    return f"{float(number):.3g}"


def holds(condition: bool, text: str) -> Found:
    """Reproduced or refuted."""
    return (REPRODUCED if condition else REFUTED), text


def dynamics(paper: str, *starts: str) -> Callable[[], Found]:
    """The rows of gda_claims whose claims start so."""

    def read() -> Found:
        found = [rows("gda_claims", paper=paper, claim=start)[0] for start in starts]
        return holds(all(row["verdict"] == REPRODUCED for row in found), "; ".join(row["our figure"] for row in found))

    return read


def interval(text: str) -> tuple[float, float]:
    """The ends of "2 (1 to 3)"; of a number alone, which decides nothing, all numbers."""
    low, high = text.rstrip(")").partition("(")[2].split(" to ") if "(" in text else ("0", "inf")
    return float(low), float(high)


def widths_compared(column: str) -> tuple[list[tuple[float, float]], str]:
    """The intervals of a measure's ratios of the greatest width to the least, and what all ratios say."""
    found = rows("width_sweep_images_pairs", critic="as wide")
    ends = [row for row in found if row["k"] == found[-1]["k"]]
    steps = [interval(row[column]) for row in found if row not in ends]
    falls, rises = sum(high < 1 for _, high in steps), sum(low > 1 for low, _ in steps)
    text = f"{column}, k = {ends[0]['k']}: "
    text += ", ".join(f"{row['pictures']} {row['network']} {row[column]}" for row in ends)
    text += f"; of {len(steps)} steps from a width to the next {falls} lower it, {rises} raise it, the others decide "
    return [interval(row[column]) for row in ends], text + "nothing"


def lower(ends: list[tuple[float, float]]) -> str:
    """Partly if a ratio is below 1, for the pictures are small; refuted if some are above and none is below."""
    if any(high < 1 for _, high in ends):
        return PARTLY
    return REFUTED if any(low > 1 for low, _ in ends) else UNTESTED


def wider_pictures(column: str) -> Callable[[], Found]:
    def read() -> Found:
        ends, text = widths_compared(column)
        settled = [row["at a plateau"].split(" of ") for row in rows("width_sweep_images", critic="as wide")]
        some, every = (sum(int(pair[i]) for pair in settled) for i in (0, 1))
        text += f"; {some} of {every} runs came to a plateau; CIFAR-10 and CelebA, which `--data PATH` takes, were not "
        return lower(ends), f"{text}at hand"

    return read


def stabler() -> Found:
    """Oscillations of runs, and the spread of seeds, pooled over pictures and networks, with the interval of F."""
    ends, text = widths_compared("oscillation")
    found = rows("width_sweep_images", critic="as wide")
    least, most = (str(end(int(row["k"]) for row in found)) for end in (min, max))
    wide, narrow = (
        np.mean([float(row["spread of seeds"]) ** 2 for row in found if row["k"] == k]) for k in (most, least)
    )
    freedom = sum(int(row["at a plateau"].split(" of ")[1]) - 1 for row in found if row["k"] == most)
    low, high = np.sqrt(wide / narrow / f_law.ppf([0.975, 0.025], freedom, freedom))
    text += f"; spread of seeds, all together: {figure(np.sqrt(wide / narrow))} ({figure(low)} to {figure(high)})"
    return lower([*ends, (float(low), float(high))]), text


def time_varying() -> Found:
    found = rows("gda_predictions", what="k = 5000")
    text = "its linearisation predicts every mode within " + ", ".join(
        f"{100 * float(row['found']):.2g} %" for row in found
    )
    return (PARTLY if all(float(row["found"]) < float(row["claimed"]) for row in found) else REFUTED), text


def curve(learner: str) -> dict[str, float]:
    row = rows("double_descent_curves", learner=learner)[0]
    return {key: float(value) for key, value in row.items() if key != "learner"}


def generalises() -> Found:
    found = curve("pseudo-supervised")
    least = min(found, key=lambda k: found[k])
    text = f"20 pairs, median test error {figure(found['k = 6'])} at k = 6, {figure(found[least])} at {least}"
    return holds(least == "k = 64" and found[least] < found["k = 6"], text)


def sooner() -> Found:
    plain, paired = (rows("adversarial_linear", steps="alternating", k="48", weight=w)[0] for w in ("0.0", "0.3"))
    several = rows("pseudo_supervised_gans", data="all 6")[0]
    beyond = rows("latents_beyond_pairs", data="all")[0]
    text = f"linear, k = 48: {plain['iterations (gap)']} iterations without pairs, {paired['iterations (gap)']} with; "
    text += f"multilayer, 10 % paired: {several['speed-up']} times sooner, with up to 384 latents {beyond['speed-up']}"
    low = min(float(row["speed-up"].split("(")[1].split(" to ")[0]) for row in (several, beyond))
    faster = float(paired["iterations (gap)"]) < float(plain["iterations (gap)"])
    return (REPRODUCED if faster and low > 1 else PARTLY if faster else REFUTED), text


def metric() -> Found:
    found = curve("unsupervised")
    flat = [found[f"k = {k}"] for k in (20, 41, 64, 400)]
    text = f"W2: median error {figure(found['k = 6'])} at k = 6, {figure(flat[0])} at every k >= n = 20"
    return holds(max(flat) - min(flat) < 1e-9 and found["k = 6"] > flat[0], text)


def divergences() -> Found:
    errors, spreads, falls = [], [], True
    for name in ("KL", "reverse KL", "Hellinger", "W2"):
        found = rows("f_divergences", loss=name)
        levels = [float(row["test error"]) for row in found]
        falls &= all(after < before * 1.001 for before, after in pairwise(levels))
        errors += [float(row["test error"]) for row in found if int(row["k"]) >= 6]
        spreads += [float(row["spread of starts"]) for row in found if row["spread of starts"]]
    noise = rows("f_divergences", loss="KL", k="48")[0]["s.e."]
    text = (
        f"KL both ways and Hellinger: test error {figure(min(errors))} to {figure(max(errors))} (s.e. {figure(noise)}) "
    )
    text += f"at all k >= n = 6, starts differ by {figure(100 * max(spreads))} % at most; no rise anywhere"
    return holds(falls and max(errors) / min(errors) < 1.002, text)


def descends(name: str, count: int) -> tuple[bool, str]:
    found = rows("triple_descent", setting=name)
    return all(int(row["falls"]) == count for row in found), found[0]["turning points (geometric mean of the errors)"]


def double() -> Found:
    found = rows("triple_descent_search", spectrum="1/i", learner="pseudo")[0]
    return holds(found["falls"] == "2", found["turning points (geometric mean of the errors)"])


def triple() -> Found:
    names = ("two weights of pairs", "two scales of latents", "random features")
    found = [descends(name, 3) for name in names]
    plain = [int(row["falls"]) for row in rows("triple_descent_search")]
    text = "; ".join(f"{name}: {where}" for name, (_, where) in zip(names, found, strict=True))
    return holds(
        all(good for good, _ in found), f"{text}. Never with white latents and equal weights ({max(plain)} falls)"
    )


def matches() -> Found:
    paired, plain = curve("pseudo-supervised")["k = 64"], curve("unsupervised")["k = 64"]
    run = rows("adversarial_linear", steps="alternating", k="96", weight="0.3")[0]
    text = f"least squares at k = 64: {figure(paired)}, without pairs {figure(plain)}; trained with pairs, k = 96: "
    text += f"{run['iterations (gap)']} iterations to a gap of 1 %, "
    text += f"final error {figure(run['final error / exact'])} times the exact one"
    return holds(paired < plain and float(run["final error / exact"]) < 1.001, text)


def multilayer() -> Found:
    few, everything = (rows("pseudo_supervised_gans", data=data)[0] for data in ("all 6", "all 10"))
    name = "final distance, ratio"
    beyond = rows("latents_beyond_pairs", data="all")[0]
    high = [float(row[name].split(" to ")[1].split(")")[0]) for row in (few, everything, beyond)]
    text = f"final distance, with pairs / without: 10 % paired {few[name]}, all paired {everything[name]}; "
    text += f"10 % and up to 384 latents {beyond[name]}"
    return (REPRODUCED if max(high) < 1 else PARTLY if min(high) < 1 else REFUTED), text


def saddles() -> Found:
    found = rows("relu_toy")
    best = {m: max(float(row["reach"]) for row in found if row["neurons"] == m) for m in ("2", "10", "50")}
    tuned = rows("optimizers")
    text = f"X = (-1, 1) and ReLU neurons: exact to 1e-8; of 50 runs at best {best['2']:.0%} reach it with 2 neurons, "
    text += f"{best['10']:.0%} with 10, {best['50']:.0%} with 50; tuned descent-ascent always arrives in "
    gans = [row for row in tuned if row["exact seconds"]]
    text += f"{sum(row['arrived'].startswith('3') for row in gans)} of {len(gans)} GANs"
    return holds(best["2"] < 0.5 < best["50"], text)


def convex() -> Found:
    programs, proofs = rows("closed_form_vs_sdp"), rows("rigorous")
    worst = max(float(row["value differs"]) for row in programs)
    answered, false = (sum(int(row[column]) for row in proofs) for column in ("answered", "false"))
    text = f"closed form and semidefinite program differ by {figure(worst)} at most; {answered:,} certificates of "
    return holds(
        worst < 1e-6 and not false, f"{text}{len(proofs)} cells verified in rational arithmetic, {false} false"
    )


def activations() -> Found:
    found = {row["solved against"]: row for row in rows("activations")}
    text = "what is left of each discrepancy (linear, quadratic, polynomial, ReLU): " + "; ".join(
        f"{name} " + ", ".join(figure(row[f"to {judge}"]) for judge in found if f"to {judge}" in row)
        for name, row in found.items()
    )
    own = all(float(found[name][f"to {name}"]) < 0.13 for name in found if name != "real halves")
    blind = min(float(found["linear"]["to quadratic"]), float(found["quadratic"]["to linear"])) > 0.3
    return holds(own and blind, text)


def progressive() -> Found:
    found = rows("celeba_recursion", **{"pixels up to": "64"})[0]
    trained = [row for row in rows("progressive_gda") if row["method"] != "closed form"]
    text = f"{int(found['pictures']):,} pictures in CelebA's format, not CelebA, up to 64 pixels: "
    text += f"{figure(found['certified s'])} s, "
    text += f"{figure(found['times faster'])} times faster than the published recursion, "
    text += f"whose beta is {100 * float(found['beta is off by']):.0f} % off at 64 pixels; "
    reached = sum(not row["steps to gap 0.001"].startswith("not") for row in trained)
    text += f"descent-ascent reaches a gap of .001 in {reached} of {len(trained)} settings"
    return (REFUTED if reached else PARTLY), text


def cycles() -> Found:
    found = {row["method"]: row for row in rows("optimizers_all", problem="bilinear")}
    gap, plain = found["duality gap, 5"], found["alternating"]
    text = f"bilinear game: descent-ascent {plain['arrived']} (distance {figure(plain['median last distance'])} after "
    text += f"{plain['gradients']} gradients), duality gap {gap['arrived']} in {gap['steps']} steps"
    return holds(plain["arrived"].startswith("0") and gap["arrived"].startswith("3"), text)


def ends(method: str) -> dict[str, Row]:
    return {row["game"]: row for row in rows("gap_claims", method=method)}


def converges() -> Found:
    found, plain = ends("duality gap"), ends("simultaneous")
    text = "toy games f1, f2, f3: " + ", ".join(row["steps"] for row in found.values()) + " steps; descent-ascent "
    text += ", ".join(row["steps"] for row in plain.values())
    return holds(all(row["steps"].isdigit() for row in found.values()), text)


def better_points() -> Found:
    found, slow = ends("duality gap"), ends("alternating, y ten times, small")
    nash, minimax = (sum(row[kind] == "yes" for row in found.values()) for kind in ("Nash", "minimax"))
    others = sum(row["minimax"] == "yes" for row in slow.values())
    tuned = [row for row in rows("optimizers_all") if row["method"] == "duality gap, 5"]
    arrived = sum(row["arrived"].startswith("3") for row in tuned)
    rings = {row["method"]: row["high quality"].split()[0] for row in rows("rings", data="ring")}
    text = (
        f"{minimax} of its {len(found)} ends are minimax points, {nash} Nash equilibria; descent-ascent with a tenth "
    )
    text += (
        f"of the step for x reaches {others} minimax points; it arrives in {arrived} of {len(tuned)} tuned problems; "
    )
    text += f"on the 8-ring {rings['duality gap']} of its samples are near a mode (descent-ascent {rings['GDA']})"
    return (REPRODUCED if minimax == len(found) > others else PARTLY if minimax else REFUTED), text


def measured_by_gap(measures: dict[str, str]) -> Callable[[], Found]:
    """Rank correlations with and without r1: reproduced if both intervals are above 0, partly if one is."""

    def read() -> Found:
        text, positive = [], []
        for data, name in (("digits, r1 = 1", "with r1 = 1"), ("digits", "without")):
            found = {row["measure"]: row["found"] for row in rows("gap_as_measure") if row["data"] == data}
            shown = [(label, next(found[key] for key in found if part in key)) for part, label in measures.items()]
            positive.append(all(float(value.split("(")[1].split(" to ")[0]) > 0 for _, value in shown))
            text.append(f"{name} " + ", ".join(f"{value} {label}".strip() for label, value in shown))
        verdict = REPRODUCED if all(positive) else PARTLY if any(positive) else REFUTED
        return verdict, "rank correlation with the Frechet distance on digits: " + "; ".join(text)

    return read


def lost_modes() -> Found:
    text, falls = [], []
    for data, name in (("ring, r1 = 1", "with r1 = 1"), ("ring", "without")):
        found = [row["found"].split()[0] for row in rows("gap_as_measure") if row["data"] == data]
        falls.append(all(float(after) < float(before) for before, after in pairwise(found)))
        text.append(f"{name} {', '.join(found)}")
    verdict = REPRODUCED if all(falls) else PARTLY if any(falls) else REFUTED
    return verdict, "gap with 1, 2, 4, 6 and 8 of 8 modes: " + "; ".join(text)


CLAIMS = [
    Claim(
        "OP",
        "a one-layer generator with a linear discriminator, if wide, is trained to a global saddle point by GDA",
        "gda_claims",
        dynamics("OP", "wide one-layer"),
    ),
    Claim("OP", "so are deeper generators", "gda_claims", dynamics("OP", "so do deeper")),
    Claim("OP", "and random-feature discriminators", "gda_claims", dynamics("OP", "so do random")),
    Claim("OP", "the dynamics are those of a linear time-varying system", "gda_predictions", time_varying),
    Claim(
        "OP",
        "overparameterisation improves samples across architectures and data",
        "width_sweep_images",
        wider_pictures("level"),
    ),
    Claim(
        "OP",
        "it makes GDA faster and more stable",
        "gda_claims",
        dynamics("OP", "overparameterised", "and more stable"),
    ),
    Claim("OP", "faster on pictures too", "width_sweep_images", wider_pictures("steps to a common level")),
    Claim("OP", "and more stable", "width_sweep_images", stabler),
    Claim("DD", "overparameterisation can improve generalisation", "double_descent", generalises),
    Claim("DD", "and accelerate training", "adversarial_linear", sooner),
    Claim(
        "DD",
        "minimising a metric shows no double descent: all interpolating solutions err alike",
        "double_descent",
        metric,
    ),
    Claim("DD", "nor does minimising an f-divergence", "f_divergences", divergences),
    Claim("DD", "with fixed pairs there is double descent", "triple_descent", double),
    Claim("DD", "in some cases triple descent", "triple_descent", triple),
    Claim(
        "DD",
        "pairs and many latents train faster, and match or surpass training without pairs",
        "adversarial_linear",
        matches,
    ),
    Claim("DD", "the insights improve nonlinear, multilayer GANs", "latents_beyond_pairs", multilayer),
    Claim("HC", "GDA may not find the saddle points of the game", "relu_toy", saddles),
    Claim("HC", "for many generators the game is solved exactly by convex optimisation", "closed_form_vs_sdp", convex),
    Claim("HC", "activations of the discriminator decide what is learnt", "activations", activations),
    Claim(
        "HC",
        "progressive training of linear generators with quadratic discriminators on CelebA",
        "progressive_gda",
        progressive,
    ),
    Claim("IP", "conditions for convergence to good minima", "gda_claims", dynamics("IP", "conditions")),
    Claim("IP", "failure by approximate mode collapse", "gda_claims", dynamics("IP", "approximate")),
    Claim("IP", "failure by divergence", "gda_claims", dynamics("IP", "bad minima")),
    Claim(
        "KG",
        "learning rates, regularisation and bandwidth set the local rate",
        "gda_claims",
        dynamics("KG", "step sizes"),
    ),
    Claim(
        "KG", "phase transitions: converges, oscillates, diverges", "gda_claims", dynamics("KG", "phase transitions")
    ),
    Claim("DG", "GDA lacks guarantees and may end in a cycle", "optimizers", cycles),
    Claim("DG", "descent on the duality gap converges", "gap_claims", converges),
    Claim("DG", "and its limits solve the problem better than known techniques do", "gap_claims", better_points),
    Claim(
        "DM",
        "the duality gap ranks models, and correlates with FID",
        "gap_as_measure",
        measured_by_gap({"checkpoints": "over checkpoints", "models": "over models"}),
    ),
    Claim("DM", "it monitors the progress of one", "gap_as_measure", measured_by_gap({"within a run": "within a run"})),
    Claim("DM", "it captures mode collapse", "gap_as_measure", lost_modes),
    Claim("DM", "it needs no labels, and agrees with scores for text, sound and cosmology", "", lambda: (UNTESTED, "")),
]

INTRODUCTION = """# Claims

What the abstracts of the papers behind this package claim, taken apart, beside what was found here. This page is made
by `python -m benchmarks.claims` from the tables in `benchmarks/results`: figures and verdicts are read off them, never
written by hand.

"Partly": on smaller data than the claim's, or not everywhere, as the figure says. `python -m benchmarks.NAME` measures
the figure; with `--quick` it shows the same on small sizes in less than two minutes on an idle core.
"""


def page() -> str:
    """The page."""
    found = [(claim, *claim.read()) for claim in CLAIMS]
    verdicts = (REPRODUCED, PARTLY, REFUTED, UNTESTED)
    counts = ", ".join(f"{sum(verdict == each for _, verdict, _ in found)} {each}" for each in verdicts)
    text = f"{INTRODUCTION}\nOf {len(found)} claims: {counts}.\n"
    for paper, (title, number) in PAPERS.items():
        text += f"\n## [{paper}] {title}, [arXiv {number}](https://arxiv.org/abs/{number})\n\n"
        text += "| claim | verdict | our figure | benchmark |\n|---|---|---|---|\n"
        for claim, verdict, shown in found:
            if claim.paper == paper:
                link = f"[`{claim.benchmark}`](../benchmarks/results/{claim.benchmark}.md)" if claim.benchmark else ""
                text += f"| {claim.text} | {verdict} | {shown} | {link} |\n"
    return text


def main() -> None:
    """Write the page, or with --quick show it."""
    options = parse(__doc__)
    if options.quick:
        print(page())
    else:
        PAGE.write_text(page())


if __name__ == "__main__":
    main()
