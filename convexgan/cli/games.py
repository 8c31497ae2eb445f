"""Games between arrays of rows: solve one, or measure the discrepancy between two samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from convexgan import generators
from convexgan._tools.files import check_target
from convexgan.cli.arrays import read_labels, read_samples
from convexgan.cli.console import Json, Seed, note, number, phase, print_json, result, search
from convexgan.cli.options import Discriminator, grouped, one_of
from convexgan.conic.solvers import BACKENDS
from convexgan.discriminators import as_discriminator
from convexgan.discriminators.activation import needs_rows
from convexgan.generators import GeneratorClass, Linear, TwoLayerReLU, as_generator
from convexgan.records.certificate import NUMBERS, Certificate

METHODS_HELP = (
    "auto, or one by name: closed_form, program; for relu and mixtures cutting_planes, double_oracle, partial_sums, "
    "semi_infinite, fixed_patterns."
)


@dataclass(frozen=True)
class Play:
    """The game that `solve` solves."""

    discriminator: Discriminator = "quadratic"
    generator: Annotated[str, typer.Option(help=one_of(generators.CLASSES))] = "linear"
    beta: Annotated[
        float | None, typer.Option(help="Penalty on the discriminator's norm: the discrepancy (ipm) is at most beta.")
    ] = None
    lam: Annotated[float | None, typer.Option(help="Instead of beta: a bound on the discriminator's norm.")] = None
    regularizer: Annotated[
        str, typer.Option(help="Penalty on the generator: output (mean |G(z)|^2), weights or lifted.")
    ] = "output"
    reduction: Annotated[str, typer.Option(help="Compare means over rows, or the sums: mean or sum.")] = "mean"
    bias: Annotated[
        str, typer.Option(help="Discriminator bias: none, penalized (part of the neurons' norm) or free.")
    ] = "none"
    generator_bias: Annotated[bool, typer.Option("--generator-bias", help="A bias, of linear and relu generators.")] = (
        False
    )


Labels = Annotated[
    Path | None,
    typer.Option(help="Of the rows of X, one a line or in a .npy: D(x, c) and G(z, c), one certificate for all."),
]


@dataclass(frozen=True)
class How:
    """Options for the method and its tolerances."""

    method: Annotated[str, typer.Option(help=METHODS_HELP)] = "auto"
    solver: Annotated[str | None, typer.Option(help=f"Of convex programs: {one_of(BACKENDS)}")] = None
    gap: Annotated[
        float | None, typer.Option(help="For relu: relative gap to a bound from particles anywhere at which to stop.")
    ] = None
    time_limit: Annotated[float | None, typer.Option(help="Seconds, for programs and searches; the bound holds.")] = (
        None
    )
    tol: Annotated[float, typer.Option(help="Relative tolerance of the certificate's kind.")] = 1e-6


@grouped
def solve(
    x: Annotated[
        Path,
        typer.Argument(metavar="X.npy", help="Real rows (n_r, d): .npy, .csv, .parquet, -; .npz of Moments."),
    ],
    *,
    z: Annotated[Path | None, typer.Argument(metavar="Z.npy", help="Latent rows (n_f, k), likewise.")] = None,
    play: Play,
    gaussian: Annotated[
        int | None, typer.Option(metavar="K", help="Standard Gaussian latents of dimension K, in place of Z.npy.")
    ] = None,
    labels: Labels = None,
    how: How,
    out: Annotated[Path | None, typer.Option(help="Write the solution here, sol.npz (read by cg.load).")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Write the certificate here, cert.json.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Solve a GAN to certified global optimality.

    Pass one of --beta and --lam. The certificate says what is proved: the generator's cost, a bound on the least
    possible cost, and the discrepancy from the data. Options that a method does not use are warned of.

    Example: convexgan solve X.npy --gaussian 5 --beta 0.1 --out sol.npz --certificate cert.json

    Example: convexgan solve X.npy Z.npy --generator relu --generator-bias --beta 0.1

    Example: convexgan solve X.npy --discriminator relu --generator mixture --beta 0.1 --time-limit 60

    Example: convexgan solve X.npy Z.npy --discriminator relu --generator linear --lam 2 --gap 0.05

    A generator for each class: convexgan solve X.npy --gaussian 5 --labels species.txt --beta 0.1
    """
    import convexgan as cg

    check_target(out, certificate)
    if z is not None and gaussian is not None:
        raise ValueError("Z.npy and --gaussian both give the latents: leave one of them out.")
    rows, *latents = read_samples(x, *([] if z is None else [z]))
    latent: Any = cg.GaussianLatent(gaussian) if gaussian is not None else latents[0] if latents else None
    if latent is None and play.generator not in ("free", "mixture"):
        raise ValueError("the latents are missing: pass Z.npy, --gaussian K, or --generator free or mixture.")
    game = asdict(play) | {"generator": _class(play.generator, play.generator_bias)}
    del game["generator_bias"]
    searched = needs_rows(as_discriminator(play.discriminator))
    with search("solving") if searched else phase("solving") as progress:
        # seed 0 is what solve takes by itself; a method that draws nothing says so of others
        given = {"labels": None if labels is None else read_labels(labels), "rng": seed or None}
        solution = cg.solve(rows, latent, **game, **asdict(how), **given, progress=searched and progress)
    proof = solution.certificate
    if proof is None:
        raise ValueError(f"no certificate: the status is {solution.status}.")
    if out is not None:
        solution.save(out)
        note(f"solution: {out}")
    if certificate is not None:
        proof.save(certificate)
        note(f"certificate: {certificate}")
    if as_json:
        print_json({"status": solution.status.value, "method": solution.method, **numbers_of(proof)})
    else:
        result(str(solution))


def _class(name: str, bias: bool) -> GeneratorClass:
    """The generator class of a name, with a bias or none."""
    if not bias:
        return as_generator(name)
    if name not in ("linear", "relu"):
        raise ValueError("--generator-bias is for --generator linear or relu.")
    return Linear(bias=True) if name == "linear" else TwoLayerReLU(bias=True)


def numbers_of(certificate: Certificate) -> dict[str, Any]:
    """The certificate's numbers, without its evidence."""
    return {name: getattr(certificate, name) for name in NUMBERS} | {"gap": certificate.gap}


def ipm(
    x: Annotated[Path, typer.Argument(metavar="X.npy", help="Real rows (n_r, d): .npy, .csv, .parquet, -.")],
    y: Annotated[Path, typer.Argument(metavar="Y.npy", help="Generated rows (n_f, d), likewise.")],
    discriminator: Discriminator = "relu",
    bias: Annotated[str, typer.Option(help="Of neurons: none, penalized (part of their norm) or free.")] = "none",
    method: Annotated[
        str,
        typer.Option(
            help="For relu: auto; sweep (2 columns), cones (branch and bound), enumerate, sampled (a lower bound)."
        ),
    ] = "auto",
    gap: Annotated[float, typer.Option(help="For relu: relative gap at which to stop.")] = 0.0,
    time_limit: Annotated[float | None, typer.Option(help="For relu: seconds; the bound holds all the same.")] = None,
    as_json: Json = False,
) -> None:
    """Print the exact discrepancy (ipm) between two samples: the difference of means that the best unit neuron sees.

    Example: convexgan ipm X.npy Y.npy --discriminator relu --bias penalized --time-limit 60
    """
    import convexgan as cg

    X, Y = read_samples(x, y)
    limits: dict[str, Any] = {"method": method, "gap": gap, "time_limit": time_limit}
    with search("searching") as progress:
        found = cg.ipm(X, Y, discriminator, bias=bias, **limits, progress=progress)
    if as_json:
        fields = ("value", "upper_bound", "exact", "sign", "direction", "status", "columns")
        print_json({name: getattr(found, name) for name in fields} | {"discriminator": discriminator})
    else:
        quality = "exact" if found.exact else f"at most {number(found.upper_bound, 10)}"
        result(f"{found.value:.10g} ({quality}; {'real' if found.sign > 0 else 'generated'} rows score higher)")
