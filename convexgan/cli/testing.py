"""Whether two samples come from one law."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from convexgan.cli.arrays import read_samples
from convexgan.cli.console import Json, Seed, number, print_json, result, search
from convexgan.cli.options import Discriminator

FIELDS = ("statistic", "p_value", "permutations", "enumerated", "stopped", "exact", "held_out", "held_out_error")


def test(
    x: Annotated[Path, typer.Argument(metavar="X", help="Rows (n, d): .npy, .csv, .parquet, or - for a pipe.")],
    y: Annotated[Path, typer.Argument(metavar="Y", help="Rows (m, d), likewise.")],
    discriminator: Discriminator = "relu",
    bias: Annotated[str, typer.Option(help="none, penalized or free.")] = "none",
    permutations: Annotated[int, typer.Option(help="How many; all there are if that is fewer.")] = 999,
    time_limit: Annotated[float | None, typer.Option(help="Seconds; the p-value of those done by then holds.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Test whether two samples come from one law, with the exact discrepancy as the statistic.

    Example: convexgan test X.npy Y.csv --permutations 9999
    """
    import convexgan as cg

    X, Y = read_samples(x, y)
    limits: dict[str, Any] = {"permutations": permutations, "time_limit": time_limit, "rng": seed}
    with search("testing") as progress:
        found = cg.two_sample_test(X, Y, discriminator, bias=bias, **limits, progress=progress)
    if as_json:
        critic = found.witness
        about = {"columns": critic.columns, "witness": critic.neurons[0], "witness_bias": critic.biases[0]}
        print_json({name: getattr(found, name) for name in FIELDS} | {"discriminator": discriminator} | about)
        return
    kind = "all other splits" if found.enumerated else "random permutations"
    quality = "exact" if found.exact else "a lower bound from sampled directions"
    stopped = ", stopped early" if found.stopped else ""
    result(f"p = {number(found.p_value)} ({found.permutations} {kind}{stopped})")
    result(f"discrepancy {number(found.value, 10)} ({quality})")
    result(f"seen on held-out halves: {number(found.held_out)} +- {number(found.held_out_error, 2)} (standard error)")
