"""Random games that need a conic solver, and how they end: answers, proofs that there is none, and solver failures.

Every option of `solve`, of `certify` with a class and of `program`, in one to five columns: discriminators with random
coefficients, all generators, beta and lam from 0 over ten decades to the thresholds, both biases, both regularizers,
sums and means, Gaussian and sample latents of any size and rank, data of sizes 1e-6 to 1e6 with an offset of up to
10,000 times their spread. Predicted: of 5,000 at most 5 end in a solver's failure, none of them at sizes 1e-3 to 1e3.
A latent rank too small for the program's optimum is no failure of a solver, and is counted apart ("none found").

Example: python -m benchmarks.solver_errors --quick
"""

from __future__ import annotations

import collections
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import convexgan as cg
from benchmarks._report import parse, write

CALLS, QUICK = 5000, 60
BUDGET = 600.0  # seconds
GAPS = (1e-8, 1e-6, 1e-4)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Call:
    """A random call: the verb, its arguments, and the size and offset of the data."""

    verb: str
    X: Array
    Z: Any
    options: dict[str, Any]
    size: float
    offset: float


def draw(seed: int) -> Call:
    """The call of a seed."""
    rng = np.random.default_rng(seed)
    d, n, size = int(rng.integers(1, 6)), int(rng.integers(8, 40)), float(10 ** rng.uniform(-6, 6))
    offset = float(rng.choice([0.0, 10 ** rng.uniform(-2, 1), 10 ** rng.uniform(1, 4)], p=[0.3, 0.4, 0.3]))
    spread = 10 ** rng.uniform(-rng.choice([0.3, 2.0]), 0, d)
    X = size * (rng.standard_normal((n, d)) * spread + offset * direction(rng, d))
    options: dict[str, Any] = {"discriminator": discriminator(rng, size)}
    generator = str(rng.choice(["linear", "bias", "free", "polynomial", "mixture"], p=[0.3, 0.3, 0.15, 0.15, 0.1]))
    options["generator"] = cg.generators.Linear(bias=True) if generator == "bias" else generator
    options["generator_penalty"] = float(rng.choice([1.0, 10 ** rng.uniform(-3, 3)]))
    options["reduction"] = str(rng.choice(["mean", "sum"], p=[0.8, 0.2]))
    if getattr(options["discriminator"], "name", options["discriminator"]) != "polynomial" or rng.random() < 0.5:
        options["bias"] = str(rng.choice(["none", "penalized"]))
    Z = latents(rng, d, n, generator, sums=options["reduction"] == "sum")
    if generator in ("linear", "bias", "free"):
        options["regularizer"] = str(rng.choice(["output", "weights"], p=[0.7, 0.3]))
    if generator == "mixture":
        Z, options["reduction"] = None, "mean"
    options |= budget(rng, X, options)
    verb = str(rng.choice(["solve", "program", "certify"], p=[0.7, 0.15, 0.15])) if generator != "mixture" else "solve"
    if verb == "solve" and generator != "mixture" and rng.random() < 0.4:
        options["method"] = "program"
    return Call(verb, X, Z, options, size, offset)


def direction(rng: np.random.Generator, d: int) -> Array:
    """A random unit vector."""
    v = rng.standard_normal(d)
    return np.asarray(v / np.linalg.norm(v))


def discriminator(rng: np.random.Generator, size: float) -> Any:
    """The named ones, and polynomials whose terms are of one order on the data, or not."""
    name = str(rng.choice(["linear", "quadratic", "polynomial", "coefficients"], p=[0.1, 0.3, 0.3, 0.3]))
    if name != "coefficients":
        return name
    a, b = rng.choice([-1.0, 1.0], 2) * 10 ** rng.uniform(-3, 1, 2)
    unit = size if rng.random() < 0.7 else 1.0
    return cg.discriminators.Polynomial(float(a / unit**2), float(b / unit), 0.0)


def latents(rng: np.random.Generator, d: int, n: int, generator: str, sums: bool) -> Any:
    """Gaussian ones, or rows of any size with and without a mean and a common variance."""
    if generator == "free":
        return None
    k = int(max(1, d + rng.choice([-1, 0, 0, 1, 2]))) if generator != "polynomial" else int(rng.integers(1, 3))
    if not sums and rng.random() < 0.5:
        return cg.GaussianLatent(k)
    rows = rng.standard_normal((n if sums else int(rng.integers(k + 3, 40)), k))
    if rng.random() < 0.5:
        rows = np.linalg.qr(rows - rows.mean(axis=0))[0] * np.sqrt(len(rows))
    else:
        rows = rows * 10 ** rng.uniform(-1, 0, k) + rng.choice([0.0, 0.5, 3.0])
    return rows * 10 ** rng.uniform(-4, 4) if generator != "polynomial" else rows


def budget(rng: np.random.Generator, X: Array, options: dict[str, Any]) -> dict[str, float]:
    """beta or lam: 0, over decades, or at the threshold above which nothing is to be done."""
    rows = len(X) if options["reduction"] == "sum" else 1
    bias = options.get("bias", "none")
    top = rows * cg.ipm(X, np.zeros((1, X.shape[1])), options["discriminator"], bias=bias).value
    if rng.random() < 0.7:
        share = rng.choice(
            [0.0, 10 ** rng.uniform(-9, 0), rng.uniform(0, 1), 1 - 10 ** rng.uniform(-9, -3)],
            p=[0.05, 0.45, 0.45, 0.05],
        )
        return {"beta": float(share * top)}
    cost = rows * options["generator_penalty"] * float(np.mean(np.sum(X**2, axis=1)))
    return {"lam": float(rng.choice([0.0, 10 ** rng.uniform(-3, 3)], p=[0.05, 0.95]) * cost / top)}


def play(call: Call) -> cg.Certificate | None:
    """The certificate; every error is the caller's to count."""
    options = dict(call.options)
    if call.verb == "solve":
        return cg.solve(call.X, call.Z, **options).certificate
    if call.verb == "program":
        program = cg.program(call.X, call.Z, **options)
        program.solve()
        return program.recover().certificate
    Y = call.X[np.random.default_rng(0).permutation(len(call.X))] * 0.9
    if options["generator"] != "free" and isinstance(call.Z, np.ndarray):
        spec = cg.generators.as_generator(options["generator"])
        lifted = spec.lift(call.Z)
        weights = np.linalg.lstsq(lifted, np.resize(Y, (len(lifted), call.X.shape[1])), rcond=None)[0]
        return cg.certify(call.X, lifted @ weights, Z=call.Z, **options)
    options["regularizer"] = "output"
    return cg.certify(call.X, Y, **options | {"generator": "free"})


def ending(call: Call) -> tuple[str, float]:
    """How a call ends, and its certificate's gap."""
    try:
        certificate = play(call)
    except cg.InfeasibleError:
        return "InfeasibleError", np.nan
    except cg.UnboundedError:
        return "UnboundedError", np.nan
    except cg.SolverError as error:
        return "none found" if "none is excluded" in str(error) else "SolverError", np.nan
    except ValueError as error:
        refused = "not convex" in str(error) or "not the image" in str(error) or "sums" in str(error)
        return "refused" if refused else "ValueError", np.nan
    except Exception as error:
        return type(error).__name__, np.nan
    return str(certificate.kind), float(certificate.gap)


def main() -> None:
    """Play the calls that fit, count their ends, and print the seeds of the failures."""
    options = parse(__doc__)
    calls = int(os.environ.get("CALLS", QUICK if options.quick else CALLS))
    start, found = time.perf_counter(), []
    for seed in range(calls):
        call = draw(seed)
        end, gap = ending(call)
        found.append((call, end, gap))
        if end.endswith("Error") and end != "InfeasibleError":
            print(f"seed {seed}: {end}", file=sys.stderr)
        if time.perf_counter() - start > BUDGET:
            break
    seconds = time.perf_counter() - start
    ends = [end for end, _ in collections.Counter(end for _, end, _ in found).most_common()]
    verbs = ("solve", "program", "certify")
    rows = []
    for end in ends:
        mine = [(call, gap) for call, e, gap in found if e == end]
        near = sum(1e-3 <= call.size <= 1e3 for call, _ in mine)
        above = [sum(gap > limit for _, gap in mine) for limit in GAPS]
        rows.append([end, len(mine), near, *(sum(c.verb == verb for c, _ in mine) for verb in verbs), *above])
    columns = ["end", "calls", "of sizes 1e-3..1e3", *verbs, *(f"gap > {limit:g}" for limit in GAPS)]
    text = f"{__doc__}\n\n{len(found)} calls, {1e3 * seconds / len(found):.0f} ms each."
    write("solver_errors", columns, rows, text, options.quick)


if __name__ == "__main__":
    main()
